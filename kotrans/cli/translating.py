"""`kotrans translate`: sentences, files, pipes and a prompt; stdout holds translations only, a line for each line."""

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from kotrans.cli.options import Models, RunNames, Settings
from kotrans.errors import ModelError, UsageError

if TYPE_CHECKING:
    from kotrans.translate import Translation, Translator


def translate(
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="SENTENCE", help="Korean sentences.", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Translate the lines of this file.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the translations here, wholly or not at all.")
    ] = None,
    runs: RunNames = None,
    models: Models = None,
    beam: Annotated[int | None, typer.Option(metavar="N", help="Beam; search.beam of the run if left out.")] = None,
    n_best: Annotated[
        int, typer.Option(min=1, metavar="N", help="Translations a line, tab-separated, each followed by its score.")
    ] = 1,
    attention: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write attention weights here: .jsonl, or a heat map as .png or .svg."),
    ] = None,
    settings: Settings = None,
) -> None:
    """Translate sentences, a file, piped text, or what you type."""
    if file and sentences:
        raise UsageError("give either sentences or --file, not both")
    prompted = not sentences and not file and sys.stdin.isatty()
    if prompted and (out or attention):
        raise UsageError("--out and --attention want text: give sentences, --file, or pipe it in")
    if out and out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file")
    translator = _load(
        [*(runs or []), *(models or [])], [*(settings or []), *([f"search.beam={beam}"] if beam is not None else [])]
    )
    if prompted:
        _prompt(translator, n_best)
        return
    translations = _tell_parts(translator.translate(_lines(sentences, file), n_best))
    if attention:
        from kotrans.report.attention import write_attention

        translations = write_attention(attention, translations)
    _write(translations, out, n_best)


def _load(names: list[str | Path], settings: list[str]) -> "Translator":
    # Imports make objects by the hundred thousand, all of which stay: to look for garbage among them again and again
    # would take a tenth of the start.
    gc.disable()
    try:
        from kotrans.pipeline.translation import load_runs

        loaded = load_runs(names, settings)
    finally:
        gc.freeze()
        gc.enable()
    typer.echo(f"run {' + '.join(loaded.names)}", err=True)
    return loaded.translator


def _lines(sentences: list[str] | None, file: Path | None) -> Iterable[str]:
    from kotrans.files import decode_lines, stream_lines

    if sentences:
        return [line for number, sentence in enumerate(sentences, 1) for line in _checked(sentence, number).split("\n")]
    return stream_lines(file) if file else decode_lines(sys.stdin.buffer, "standard input")


def _checked(sentence: str, number: int) -> str:
    """Bytes of an argument that are not UTF-8 arrive as lone surrogates."""
    if any("\ud800" <= character <= "\udfff" for character in sentence):
        raise UsageError(f"sentence {number}: not UTF-8 text; put it into a file and give --file")
    return sentence


def _tell_parts(translations: "Iterator[Translation]") -> "Iterator[Translation]":
    for number, translation in enumerate(translations, start=1):
        if translation.parts > 1:
            told = f"line {number}: longer than what the run was trained on; translated in {translation.parts} parts"
            typer.echo(told, err=True)
        yield translation


def _write(translations: "Iterator[Translation]", out: Path | None, n_best: int) -> None:
    lines = (_line(translation, n_best) for translation in translations)
    if out is None:
        _to_stream(lines, sys.stdout)
        return
    from kotrans.files import disk_errors, new_file

    with (
        disk_errors(out, "nothing was written"),
        new_file(out) as scratch,
        scratch.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        _to_stream(lines, stream)


def _to_stream(lines: Iterable[str], stream: TextIO) -> None:
    for line in lines:
        stream.write(line + "\n")
    stream.flush()


def _line(translation: "Translation", n_best: int) -> str:
    if n_best == 1:
        return translation.text
    return "\t".join(f"{found.text}\t{found.score:.4f}" for found in translation.hypotheses)


def _prompt(translator: "Translator", n_best: int) -> None:
    typer.echo("Type a Korean sentence; an empty line or Ctrl-D leaves.", err=True)
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # half a syllable, as some terminals leave after a backspace
    with suppress(ImportError):
        import readline  # noqa: F401  (lets `input` edit the line and remember earlier ones)
    while line := _ask().strip():
        try:
            for translation in _tell_parts(translator.translate([line], n_best)):
                typer.echo(_line(translation, n_best))
        except ModelError as error:
            typer.echo(f"error: {error}", err=True)


def _ask() -> str:
    """What is typed; empty at the end of the input. The prompt never goes into a file that takes the translations."""
    terminal = sys.stdout.isatty()
    if not terminal:
        typer.echo("> ", nl=False, err=True)
    try:
        return input("> " if terminal else "")
    except EOFError:
        typer.echo(err=True)
        return ""
