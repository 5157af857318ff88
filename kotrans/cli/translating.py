"""`kotrans translate`: sentences, files, pipes and a prompt; stdout holds translations only, a line for each line."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from kotrans.cli.options import RunNames, Settings
from kotrans.errors import DataError, UsageError

if TYPE_CHECKING:
    from kotrans.translate import Translation, Translator


def translate(
    sentences: Annotated[list[str] | None, typer.Argument(help="Korean sentences.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option(help="Translate the lines of this file.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Write the translations here.", show_default=False)] = None,
    runs: RunNames = None,
    beam: Annotated[
        int | None, typer.Option(help="Beam; search.beam of the run if left out.", show_default=False)
    ] = None,
    n_best: Annotated[int, typer.Option(help="Translations a line, tab-separated, each followed by its score.")] = 1,
    attention: Annotated[
        Path | None,
        typer.Option(help="Write attention weights here: .jsonl, or a heat map as .png or .svg.", show_default=False),
    ] = None,
    settings: Settings = None,
) -> None:
    """Translate sentences, a file, standard input, or what is typed at a prompt."""
    if file and sentences:
        raise UsageError("give either sentences or --file, not both")
    prompted = not sentences and not file and sys.stdin.isatty()
    if n_best < 1:
        raise UsageError(f"--n-best {n_best}: at least 1")
    translator = _load(runs, [*(settings or []), *([f"search.beam={beam}"] if beam is not None else [])])
    if prompted:
        _prompt(translator, n_best)
        return
    translations = translator.translate(_lines(sentences, file), n_best)
    if attention:
        from kotrans.report.attention import write_attention

        translations = write_attention(attention, translations)
    _write(translations, out, n_best)


def _load(runs: list[str] | None, settings: list[str]) -> "Translator":
    from kotrans.pipeline.translation import load_runs

    loaded = load_runs(runs or [], settings)
    typer.echo(f"run {' + '.join(loaded.names)}", err=True)
    return loaded.translator


def _lines(sentences: list[str] | None, file: Path | None) -> Iterable[str]:
    if sentences:
        return [line for sentence in sentences for line in sentence.split("\n")]
    from kotrans.files import stream_lines

    return stream_lines(file) if file else _standard_input()


def _standard_input() -> Iterator[str]:
    """Lines as they come: UTF-8, "\\n" alone ends one, a byte order mark and "\\r" at the end are dropped."""
    for number, data in enumerate(sys.stdin.buffer, start=1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"standard input:{number}: not UTF-8 text; convert it to UTF-8") from None
        yield line.removesuffix("\n").removesuffix("\r")


def _write(translations: "Iterator[Translation]", out: Path | None, n_best: int) -> None:
    lines = (_line(translation, n_best) for translation in translations)
    if out is None:
        _to_stream(lines, sys.stdout)
        return
    from kotrans.files import new_file

    with new_file(out) as scratch, scratch.open("w", encoding="utf-8", newline="\n") as stream:
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
    while True:
        try:
            line = input("> ")
        except EOFError:
            return
        if not line.strip():
            return
        for translation in translator.translate([line], n_best):
            typer.echo(_line(translation, n_best))
