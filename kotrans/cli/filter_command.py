"""`kotrans filter`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.options import Models, RunNames, Settings, file_option
from kotrans.cli.score_command import pairs_of_files
from kotrans.cli.translate_command import load_models
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from kotrans.translation.translator import Translator

_PERCENTILES = (1, 5, 10, 20, 30, 40, 50, 75, 90)


def filter_pairs(
    source: Annotated[Path, file_option("Korean text, one sentence per line.", "--source")],
    target: Annotated[Path, file_option("Translations, one per line of --source.", "--target")],
    threshold: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Keep pairs with at least this score; needs --out.")
    ] = None,
    out: Annotated[Path | None, file_option("Write the kept pairs to FILE.ko and FILE.en.")] = None,
    runs: RunNames = None,
    models: Models = None,
    settings: Settings = None,
) -> None:
    """Keep the sentence pairs that a model finds probable.

    Without a threshold, shows how the scores are distributed.
    """
    if (threshold is None) != (out is None):
        raise UsageError("--threshold and --out belong together; without both, the scores are shown")
    files = [] if out is None else [out.with_name(f"{out.name}.{language}") for language in ("ko", "en")]
    if taken := next((file for file in files if file.exists()), None):
        raise UsageError(f"--out {out}: {taken} exists already; choose another name")
    translator = load_models([*(runs or []), *(models or [])], settings or [])
    scored = _scored(translator, pairs_of_files(source, target))
    if threshold is None:
        typer.echo(_distribution([score for _, _, score in scored if score is not None]))
    else:
        read, kept = _write(files, scored, threshold)
        typer.echo(f"{kept:,} of {read:,} pairs kept, in {files[0]} and {files[1]}", err=True)


def _scored(translator: "Translator", pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, float | None]]:
    """Yields each pair with its score; None if a side is blank."""
    from itertools import tee

    from kotrans.translation.model_loading import search_memory_errors

    given, again = tee(pairs)
    with search_memory_errors(translator.config):
        for (source, target), scored in zip(again, translator.score(given, split_sentences=False), strict=True):
            best = scored.hypotheses[0]
            yield source, target, best.score if best.pieces else None


def _write(files: list[Path], scored: Iterable[tuple[str, str, float | None]], threshold: float) -> tuple[int, int]:
    """Writes the pairs that reach the threshold; returns the numbers read and written."""
    from contextlib import ExitStack

    from kotrans.storage.files import disk_errors, new_file

    read = kept = 0
    with disk_errors(files[0], "nothing was written"), ExitStack() as stack:
        paths = [stack.enter_context(new_file(file)) for file in files]
        sides = [stack.enter_context(path.open("w", encoding="utf-8", newline="\n")) for path in paths]
        for source, target, score in scored:
            read += 1
            if score is not None and score >= threshold:
                kept += 1
                for file, line in zip(sides, (source, target), strict=True):
                    file.write(f"{line}\n")
    return read, kept


def _distribution(scores: list[float]) -> str:
    import numpy as np

    if not scores:
        return "no pair has two sides with text"
    values = np.percentile(scores, _PERCENTILES)
    lines = (
        f"{share:>3} % of the pairs score below {value:8.4f}" for share, value in zip(_PERCENTILES, values, strict=True)
    )
    return "\n".join([f"{len(scores):,} pairs", *lines])
