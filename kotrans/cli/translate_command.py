"""`kotrans translate`: sentences, files, pipes and a prompt; stdout holds translations only, a line for each line."""

import gc
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from kotrans.cli.options import (
    Models,
    RunNames,
    Settings,
    SplitSentences,
    file_option,
    utf8_argument,
    with_korean,
    with_split_sentences,
)
from kotrans.cli.output import made_with, say, with_progress, with_remarks, write_lines_of
from kotrans.errors import KotransError, UsageError

if TYPE_CHECKING:
    from kotrans.storage.pipe_lines import ArrivingLines
    from kotrans.storage.resumable_output import ResumableOutput
    from kotrans.translation.postprocess import Translation
    from kotrans.translation.translator import Translator


def translate(
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="SENTENCE", help="Korean sentences.", show_default=False)
    ] = None,
    file: Annotated[Path | None, file_option("Translate the lines of this file.")] = None,
    out: Annotated[
        Path | None,
        file_option("Write the translations here when all are done; until then to FILE.partial."),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on after the lines of an interrupted --out, kept in FILE.partial.")
    ] = False,
    runs: RunNames = None,
    models: Models = None,
    beam: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="Beam; search.beam of the run if left out.")
    ] = None,
    n_best: Annotated[
        int, typer.Option(min=1, metavar="N", help="Translations a line, tab-separated, each followed by its score.")
    ] = 1,
    attention: Annotated[
        Path | None,
        file_option(
            "Write attention weights here: .jsonl, or a heat map as .png or .svg, or word alignments as .pharaoh."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write an object a line: every translation with its scores, piece by piece.")
    ] = False,
    split_sentences: SplitSentences = None,
    settings: Settings = None,
) -> None:
    """Translate sentences, a file, piped text, or what you type."""
    prompted = not sentences and not file and sys.stdin.isatty()
    _check(sentences, file, out, attention, prompted=prompted, as_json=as_json, go_on=go_on)
    beam_setting = [f"search.beam={beam}"] if beam is not None else []
    overrides = with_split_sentences([*(settings or []), *beam_setting], split_sentences)
    names: list[str | Path] = [*(runs or []), *(models or [])]
    if prompted:
        _prompt(load_models(names, overrides), n_best)
        return
    output = _output(out, go_on=go_on)
    text = _Text(sentences, file, read_now=not go_on)
    translator = load_models(names, overrides)
    with output.claimed() if output else nullcontext():
        _translate(translator, text, output, _Form(n_best, as_json, attention), go_on=go_on)


class _Form(NamedTuple):
    """What is written of each translation."""

    n_best: int
    as_json: bool
    attention: Path | None

    def line(self, translation: "Translation") -> str:
        return to_json(translation) if self.as_json else _line(translation, self.n_best)


class _Text:
    """The lines to translate: arguments, a file, or a pipe."""

    def __init__(self, sentences: list[str] | None, file: Path | None, *, read_now: bool) -> None:
        """read_now: begin to read a pipe, so that it is full when the model is loaded."""
        self.file = file
        self.is_piped = not sentences and not file
        self.lines = iter(_lines(sentences, file))
        self._arriving = self._arrive() if self.is_piped and read_now else None

    def translations(self, translator: "Translator", n_best: int, first: int) -> "Iterator[Translation]":
        """The first of the lines has the number `first` in messages."""
        from kotrans.translation.multiprocess import translate_chunks, translate_text

        if not self.is_piped:
            return translate_text(translator, self.lines, n_best, first=first)
        arriving = self._arriving or self._arrive()
        return translate_chunks(translator, arriving.chunks(translator.lines_ahead), n_best, first=first)

    def skip(self, output: "ResumableOutput", digests: list[str], ahead: int) -> int:
        """Passes over the lines that are done, which must be those of the digests.

        Returns how many of them are translated again. Lines that are read together are sorted into batches, and a
        batch of others may round otherwise: so those after a multiple of `ahead` have their neighbours again. In a pipe
        it is chance which lines are read together.
        """
        again = 0 if self.is_piped else len(digests) % ahead
        kept = deque(output.check_input(self.lines, digests), maxlen=again)
        self.lines = chain(kept, self.lines)
        return again

    def count(self) -> int | None:
        """How many lines there are, if they are in a file."""
        from kotrans.storage.files import stream_lines

        return sum(1 for _ in stream_lines(self.file)) if self.file and self.file.is_file() else None

    def _arrive(self) -> "ArrivingLines":
        from kotrans.storage.pipe_lines import ArrivingLines

        return ArrivingLines(self.lines)


def _translate(
    translator: "Translator", text: _Text, output: "ResumableOutput | None", form: _Form, *, go_on: bool
) -> None:
    made = made_with(translator, form.n_best, as_json=form.as_json)
    done = again = 0
    if output and go_on:
        done, again = _resume(output, text, made, translator.lines_ahead)
    elif output:
        output.check_unused()  # again, now that no other process can begin
    shown = sys.stderr.isatty() and (text.is_piped or text.file is not None)
    shown = shown and (output is not None or not sys.stdout.isatty())
    total = text.count() if shown else None
    translations = islice(text.translations(translator, form.n_best, done - again + 1), again, None)
    remarked = with_remarks(translations, translator.tokenizer.is_unfamiliar, done + 1)
    counted = with_progress(write_attention_on_the_way(form.attention, remarked), total=total, done=done, shown=shown)
    write_lines_of(((each.source, form.line(each)) for each in counted), output, made)


def _resume(output: "ResumableOutput", text: _Text, made: dict[str, Any], ahead: int) -> tuple[int, int]:
    """How many lines are done, and how many of these are translated again."""
    from kotrans.storage.files import disk_errors

    with disk_errors(output.partial, "nothing was changed"):
        digests = output.resume(made)
    again = text.skip(output, digests, ahead)
    say(f"going on after line {len(digests)}")
    return len(digests), again


def _check(
    sentences: list[str] | None, file: Path | None, out: Path | None, attention: Path | None,
    *, prompted: bool, as_json: bool, go_on: bool,
) -> None:  # fmt: skip
    if file and sentences:
        raise UsageError("give either sentences or --file, not both")
    if prompted and (out or attention):
        raise UsageError("--out and --attention want text: give sentences, --file, or pipe it in")
    if prompted and as_json:
        raise UsageError("--json wants text: give sentences, --file, or pipe it in")
    if go_on and (attention or not out):
        raise UsageError("--continue: goes on with --out, and cannot with --attention, of which nothing was kept")
    if out and out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file")


def _output(out: Path | None, *, go_on: bool) -> "ResumableOutput | None":
    if out is None:
        return None
    from kotrans.storage.resumable_output import ResumableOutput

    output = ResumableOutput(out)
    if not go_on:
        output.check_unused()
    return output


def load_models(names: list[str | Path], settings: list[str]) -> "Translator":
    """Some runs or models, whose names are told."""
    # Imports make objects by the hundred thousand, all of which stay: to look for garbage among them again and again
    # would take a tenth of the start.
    gc.disable()
    try:
        from kotrans.translation.translator import Translator

        translator = Translator.load(names, settings=settings)
    finally:
        gc.freeze()
        gc.enable()
    typer.echo(f"run {translator.name}", err=True)
    return translator


def write_attention_on_the_way(path: Path | None, translations: "Iterator[Translation]") -> "Iterator[Translation]":
    """Passes the translations on, writing their attention if a path is given."""
    if path is None:
        return translations
    from kotrans.report.attention_text import write_attention

    return write_attention(path, translations)


def _lines(sentences: list[str] | None, file: Path | None) -> Iterable[str]:
    from kotrans.storage.files import decode_lines, stream_lines

    if sentences:
        return [
            line for number, sentence in enumerate(sentences, 1) for line in checked_text(sentence, number).split("\n")
        ]
    return stream_lines(file) if file else decode_lines(_standard_input(), "standard input")


def _standard_input() -> Iterable[bytes]:
    """Lines of standard input.

    Not of `sys.stdin.buffer`: when Python ends it takes the lock of that, which the thread that waits for a line has,
    and aborts.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except OSError:  # not a file
        return sys.stdin.buffer


def checked_text(sentence: str, number: int) -> str:
    """An argument as text. Raises UsageError for bytes that are not UTF-8, which arrive as lone surrogates."""
    sentence = utf8_argument(sentence)
    if any("\ud800" <= character <= "\udfff" for character in sentence):
        raise UsageError(f"sentence {number}: not UTF-8 text; put it into a file and give --file")
    return sentence


def _line(translation: "Translation", n_best: int) -> str:
    if n_best == 1:
        return translation.text
    return "\t".join(f"{found.text}\t{found.score:.4f}" for found in translation.hypotheses)


def to_json(translation: "Translation") -> str:
    """A line of JSON."""
    from kotrans.translation.postprocess import translation_record

    return json.dumps(translation_record(translation), ensure_ascii=False)


def _prompt(translator: "Translator", n_best: int) -> None:
    from kotrans.translation.multiprocess import translate_text

    typer.echo("Type a Korean sentence; an empty line or Ctrl-D leaves.", err=True)
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(
            encoding=with_korean(sys.stdin.encoding), errors="replace"
        )  # half a syllable, as some terminals leave after a backspace
    with suppress(ImportError):
        import readline  # noqa: F401  (lets `input` edit the line and remember earlier ones)
    while line := _ask().strip():
        try:
            found = with_remarks(translate_text(translator, [line], n_best), translator.tokenizer.is_unfamiliar)
            for translation in found:
                typer.echo(_line(translation, n_best))
        except KotransError as error:
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
    except KeyboardInterrupt:
        typer.echo(err=True)  # or what the shell prints next would stand in the line of the prompt
        raise
