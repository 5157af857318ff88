"""`kotrans translate`: sentences, files, pipes and a prompt; stdout holds translations only, a line for each line."""

import gc
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from kotrans.cli.options import Models, RunNames, Settings, SplitSentences, with_split_sentences
from kotrans.errors import ModelError, UsageError

if TYPE_CHECKING:
    from kotrans.assembly import Translation
    from kotrans.pipeline.translation import LoadedRuns
    from kotrans.translate import BatchTranslator


def translate(
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="SENTENCE", help="Korean sentences.", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Translate the lines of this file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the translations here when all are done; until then to FILE.partial."),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on after the lines of an interrupted --out, kept in FILE.partial.")
    ] = False,
    runs: RunNames = None,
    models: Models = None,
    beam: Annotated[int | None, typer.Option(metavar="N", help="Beam; search.beam of the run if left out.")] = None,
    n_best: Annotated[
        int, typer.Option(min=1, metavar="N", help="Translations a line, tab-separated, each followed by its score.")
    ] = 1,
    attention: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write attention weights here: .jsonl, or a heat map as .png or .svg, or word alignments as .pharaoh.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write an object a line: every translation with its scores, piece by piece.")
    ] = False,
    split_sentences: SplitSentences = None,
    settings: Settings = None,
) -> None:
    """Translate sentences, a file, piped text, or what you type."""
    if file and sentences:
        raise UsageError("give either sentences or --file, not both")
    prompted = not sentences and not file and sys.stdin.isatty()
    if prompted:
        _check_prompt(out, attention, as_json=as_json)
    _check_out(out, go_on, attention)
    overrides = [f"search.beam={beam}"] if beam is not None else []
    loaded = load_models(
        [*(runs or []), *(models or [])], with_split_sentences([*(settings or []), *overrides], split_sentences)
    )
    if prompted:
        _prompt(loaded.translator, n_best)
        return
    done = _done(out, loaded.translator.lines_ahead) if out and go_on else 0
    remaining = islice(_lines(sentences, file), done, None)
    translations = _tell_parts(_translations(loaded, remaining, n_best, done + 1, in_file=file is not None), done + 1)
    told = write_attention_on_the_way(attention, translations)
    _write((to_json(each) if as_json else _line(each, n_best) for each in told), out)


def _translations(
    loaded: "LoadedRuns", lines: Iterable[str], n_best: int, first: int, *, in_file: bool
) -> "Iterator[Translation]":
    """Of a pipe nobody knows how long the next lines take: processes would hold back what is done."""
    if not in_file:
        return loaded.translator.translate(lines, n_best, first=first)
    from kotrans.pipeline.long_text import translate_text

    return translate_text(loaded, lines, n_best, first=first)


def _check_prompt(out: Path | None, attention: Path | None, *, as_json: bool) -> None:
    if out or attention:
        raise UsageError("--out and --attention want text: give sentences, --file, or pipe it in")
    if as_json:
        raise UsageError("--json wants text: give sentences, --file, or pipe it in")


def _check_out(out: Path | None, go_on: bool, attention: Path | None) -> None:
    from kotrans.files import partial_of

    if go_on and (attention or not out):
        raise UsageError("--continue: goes on with --out, and cannot with --attention, of which nothing was kept")
    if out and out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file")
    if out and not go_on and (partial := partial_of(out.resolve())).exists():
        raise UsageError(
            f"--out {out}: {partial.name} is there from an interrupted translation; "
            "go on after its lines with --continue, or delete it"
        )


def _done(out: Path, ahead: int) -> int:
    """How many lines an interrupted translation has left. What is read ahead together is translated again together.

    A sentence has the same translation beside any others but for rounding; this way its bytes are the same as well.
    """
    from kotrans.files import disk_errors, keep_lines, partial_of

    partial = partial_of(out.resolve())
    with disk_errors(partial, "nothing was changed"):
        done = keep_lines(partial, ahead)
    typer.echo(f"going on after line {done}", err=True)
    return done


def load_models(names: list[str | Path], settings: list[str]) -> "LoadedRuns":
    """Some runs or models, whose names are told."""
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
    return loaded


def write_attention_on_the_way(path: Path | None, translations: "Iterator[Translation]") -> "Iterator[Translation]":
    """Passes the translations on, writing their attention if a path is given."""
    if path is None:
        return translations
    from kotrans.report.attention import write_attention

    return write_attention(path, translations)


def _lines(sentences: list[str] | None, file: Path | None) -> Iterable[str]:
    from kotrans.files import decode_lines, stream_lines

    if sentences:
        return [
            line for number, sentence in enumerate(sentences, 1) for line in checked_text(sentence, number).split("\n")
        ]
    return stream_lines(file) if file else decode_lines(sys.stdin.buffer, "standard input")


def checked_text(sentence: str, number: int) -> str:
    """Bytes of an argument that are not UTF-8 arrive as lone surrogates."""
    if any("\ud800" <= character <= "\udfff" for character in sentence):
        raise UsageError(f"sentence {number}: not UTF-8 text; put it into a file and give --file")
    return sentence


def _tell_parts(translations: "Iterator[Translation]", first: int = 1) -> "Iterator[Translation]":
    """Names lines that are translated in parts, and at the end counts those that lost what has no piece."""
    count, example = 0, ""
    for number, translation in enumerate(translations, first):
        if translation.cut:
            told = f"line {number}: has a sentence longer than what the run was trained on; it is translated in parts"
            typer.echo(told, err=True)
        if translation.left_out:
            count += 1
            example = example or f"line {number}: {' '.join(translation.left_out)}"
        yield translation
    if count:
        typer.echo(f"left out of {count} line(s): symbols or letters that the run does not know ({example})", err=True)


def _write(lines: Iterable[str], out: Path | None) -> None:
    if out is None:
        _to_stream(lines, sys.stdout)
        return
    from kotrans.files import disk_errors, growing_file, partial_of

    try:
        with (
            disk_errors(out, "it is as it was before"),
            growing_file(out) as growing,
            growing.open("a", encoding="utf-8", newline="\n", buffering=1) as stream,
        ):
            _to_stream(lines, stream)
    except BaseException:
        if (partial := partial_of(out.resolve())).exists():
            typer.echo(f"{partial}: has the lines that are done; the same command with --continue goes on", err=True)
        raise


def _to_stream(lines: Iterable[str], stream: TextIO) -> None:
    for line in lines:
        stream.write(line + "\n")
    stream.flush()


def _line(translation: "Translation", n_best: int) -> str:
    if n_best == 1:
        return translation.text
    return "\t".join(f"{found.text}\t{found.score:.4f}" for found in translation.hypotheses)


def to_json(translation: "Translation") -> str:
    """A line of JSON."""
    from kotrans.report.records import translation_record

    return json.dumps(translation_record(translation), ensure_ascii=False)


def _prompt(translator: "BatchTranslator", n_best: int) -> None:
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
