"""`kotrans score`."""

import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.options import Models, RunNames, Settings, SplitSentences, file_option, with_split_sentences
from kotrans.cli.translate_command import checked_text, load_models, to_json, with_attention_written
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from kotrans.translation.postprocess import Translation


def score(
    pair: Annotated[list[str] | None, typer.Argument(metavar="[SENTENCE TRANSLATION]", help="One pair.")] = None,
    source: Annotated[Path | None, file_option("Korean text, one sentence per line.")] = None,
    target: Annotated[Path | None, file_option("Translations, one per line of --source.")] = None,
    runs: RunNames = None,
    models: Models = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line, with the log-probability of each piece.")
    ] = False,
    attention: Annotated[
        Path | None, file_option("Write attention weights, as `kotrans translate --attention`.")
    ] = None,
    split_sentences: SplitSentences = None,
    settings: Settings = None,
) -> None:
    """Score given translations.

    Prints one line per pair: normalised score, log-probability and number of pieces, tab-separated.
    """
    pairs = _pairs(pair, source, target)
    translator = load_models([*(runs or []), *(models or [])], with_split_sentences(settings, split_sentences))
    from kotrans.translation.model_loading import search_memory_errors

    with search_memory_errors(translator.config):
        for translation in with_attention_written(attention, translator.score(pairs)):
            sys.stdout.write(to_json(translation) + "\n" if as_json else _line(translation))
    sys.stdout.flush()


def _pairs(pair: list[str] | None, source: Path | None, target: Path | None) -> Iterator[tuple[str, str]]:
    if pair and not source and not target:
        if len(pair) != 2:
            raise UsageError(
                f"give one sentence and one translation, not {len(pair)} texts; use --source and --target for several"
            )
        sentence, translation = (checked_text(text, number) for number, text in enumerate(pair, start=1))
        return iter([(sentence, translation)])
    if pair or not source or not target:
        raise UsageError("give either a sentence and its translation, or --source and --target")
    return pairs_of_files(source, target)


def pairs_of_files(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yields the lines of two files side by side. Raises UsageError if one has fewer."""
    from kotrans.storage.files import stream_lines

    for number, (left, right) in enumerate(zip_longest(stream_lines(source), stream_lines(target)), start=1):
        if left is None or right is None:
            shorter = source if left is None else target
            raise UsageError(f"{shorter}: ends before line {number}; both files must have the same number of lines")
        yield left, right


def _line(translation: "Translation") -> str:
    best = translation.hypotheses[0]
    return f"{best.score:.4f}\t{best.log_prob:.4f}\t{len(best.pieces)}\n" if best.pieces else "\n"
