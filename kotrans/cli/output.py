"""Output of translations to standard output or a resumable file, with progress and warnings on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from kotrans.storage.resumable_output import ResumableOutput
    from kotrans.translation.postprocess import Translation
    from kotrans.translation.translator import Translator

Item = TypeVar("Item")

_UNFAMILIAR = "mostly unlike the training text; do not trust the translation"


def print_message(message: str) -> None:
    """Prints a line on standard error, above the progress bar if there is one."""
    tqdm = sys.modules.get("tqdm")  # if it was never imported, there is no bar
    if tqdm is None:
        typer.echo(message, err=True)
    else:
        tqdm.tqdm.write(message, file=sys.stderr)


def with_progress(items: Iterable[Item], *, total: int | None, done: int, shown: bool) -> Iterable[Item]:
    """Passes on the items, and shows their number on standard error."""
    if not shown:
        return items
    from tqdm import tqdm

    return tqdm(
        items, desc="translating", total=total, initial=done, unit=" lines", dynamic_ncols=True, leave=False,
        file=sys.stderr,
    )  # fmt: skip


def with_warnings(
    translations: "Iterable[Translation]", is_unfamiliar: Callable[[str], bool], first: int = 1
) -> "Iterator[Translation]":
    """Passes on the translations, and prints which lines are translated in parts.

    At the end, warns how many lines are unlike the training text, and how many lost a symbol or letter for which the
    model has no pieces. first: number of the first line.
    """
    unfamiliar: list[int] = []
    left_out, example = 0, ""
    number = first - 1
    for number, translation in enumerate(translations, first):
        if translation.cut:
            print_message(
                f"line {number}: has a sentence longer than what the run was trained on; it is translated in parts"
            )
        if is_unfamiliar(translation.source):
            unfamiliar.append(number)
        if translation.left_out:
            left_out += 1
            example = example or f"line {number}: {' '.join(translation.left_out)}"
        yield translation
    if left_out:
        affected = "1 line" if left_out == 1 else f"{left_out:,} lines"
        print_message(
            f"warning: symbols or letters that the model has no pieces for were left out of {affected} ({example})"
        )
    lines = number - first + 1
    if unfamiliar and lines == 1:
        print_message(f"warning: {_UNFAMILIAR}")
    elif unfamiliar:
        subject = f"{len(unfamiliar):,} of {lines:,} lines are" if len(unfamiliar) > 1 else f"1 of {lines:,} lines is"
        print_message(
            f"warning: {subject} {_UNFAMILIAR} (line {unfamiliar[0]}{' first' if len(unfamiliar) > 1 else ''})"
        )


def output_settings(translator: "Translator", n_best: int, *, as_json: bool) -> dict[str, Any]:
    """Returns everything except the input that determines the output, by the names of options and settings.

    The batch size does not change the output and is left out.
    """
    from kotrans.storage.resources import VERSION

    models = zip(translator.spec.names, translator.hashes, strict=True)
    search = translator.config.model_dump(mode="json", exclude={"batch"})
    return {
        "kotrans": VERSION,
        "model": ", ".join(f"{name} ({files_hash})" for name, files_hash in models),
        "precision": translator.precision,
        "--json": as_json,
        "--n-best": n_best,
        **{f"search.{key}": value for key, value in search.items()},
        **({"terms": translator.glossary.key} if translator.glossary else {}),
    }


def write_results(results: Iterable[tuple[str, str]], output: "ResumableOutput | None", made: dict[str, Any]) -> None:
    """Writes the output line of each pair of input and output lines as soon as it is available."""
    if output is None:
        for _, line in results:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()  # the reader of a pipe may wait for it
        return
    from kotrans.storage.files import disk_errors

    try:
        with disk_errors(output.path, "it is unchanged"):
            output.write(made, results)
    except BaseException:
        if output.partial.exists():
            print_message(
                f"{output.partial}: contains the finished lines; run the same command with --continue to resume"
            )
        raise
