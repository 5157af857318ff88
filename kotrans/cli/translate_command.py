"""`kotrans translate`: writes one line of standard output per line of input, and everything else to standard error."""

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
    GlossaryFile,
    Models,
    RunNames,
    Settings,
    SplitSentences,
    as_settings,
    file_option,
    utf8_argument,
    with_korean,
    with_split_sentences,
)
from kotrans.cli.output import output_settings, print_message, with_progress, with_warnings, write_results
from kotrans.errors import KotransError, UsageError

if TYPE_CHECKING:
    from kotrans.storage.pipe_lines import ArrivingLines
    from kotrans.storage.resumable_output import ResumableOutput
    from kotrans.translation.postprocess import Translation
    from kotrans.translation.translator import Translator


def translate(
    sentences: Annotated[list[str] | None, typer.Argument(metavar="[SENTENCE]...", help="Korean sentences.")] = None,
    file: Annotated[Path | None, file_option("Translate the lines of this file.")] = None,
    out: Annotated[
        Path | None, file_option("Write the translations to FILE; until all are done, they are in FILE.partial.")
    ] = None,
    resume: Annotated[bool, typer.Option("--continue", help="Resume an interrupted --out from FILE.partial.")] = False,
    runs: RunNames = None,
    models: Models = None,
    beam: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="Beam size (default: search.beam of the run).")
    ] = None,
    n_best: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Translations per line, tab-separated, each followed by its score (default: 1)."
        ),
    ] = 1,
    glossary: GlossaryFile = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="TEXT", help="Text that each translation begins with.")
    ] = None,
    sample: Annotated[
        bool,
        typer.Option("--sample", help="Draw translations at random; see search.temperature, top_k, top_p and seed."),
    ] = False,
    attention: Annotated[
        Path | None,
        file_option("Write attention weights (.jsonl), heat maps (.png, .svg) or word alignments (.pharaoh)."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Write one JSON object per line, with scores and the log-probability of each piece."
        ),
    ] = False,
    split_sentences: SplitSentences = None,
    settings: Settings = None,
) -> None:
    """Translate sentences, a file, standard input, or typed text."""
    prompted = not sentences and not file and sys.stdin.isatty()
    _check(sentences, file, out, attention, prompted=prompted, as_json=as_json, resume=resume)
    own = as_settings(beam=beam, glossary=glossary, prefix=prefix, sample=sample or None)
    overrides = with_split_sentences([*(settings or []), *own], split_sentences)
    names: list[str | Path] = [*(runs or []), *(models or [])]
    if prompted:
        _prompt(load_models(names, overrides), n_best)
        return
    output = _output(out, resume=resume)
    text = _Input(sentences, file, read_now=not resume)
    translator = load_models(names, overrides)
    with output.claimed() if output else nullcontext():
        _translate(translator, text, output, _Format(n_best, as_json, attention), resume=resume)


class _Format(NamedTuple):
    """Format of the output."""

    n_best: int
    as_json: bool
    attention: Path | None

    def line(self, translation: "Translation") -> str:
        return to_json(translation) if self.as_json else _line(translation, self.n_best)


class _Input:
    """The lines to translate: arguments, a file, or standard input."""

    def __init__(self, sentences: list[str] | None, file: Path | None, *, read_now: bool) -> None:
        """read_now: read a pipe in the background while the model is loaded."""
        self.file = file
        self.is_piped = not sentences and not file
        self.lines = iter(_lines(sentences, file))
        self._arriving = self._arrive() if self.is_piped and read_now else None

    def translations(self, translator: "Translator", n_best: int, first: int) -> "Iterator[Translation]":
        """Translates the lines. first: number of the first line in messages."""
        from kotrans.translation.multiprocess import translate_chunks, translate_text

        if not self.is_piped:
            return translate_text(translator, self.lines, n_best, first=first)
        arriving = self._arriving or self._arrive()
        return translate_chunks(translator, arriving.chunks(translator.lines_ahead), n_best, first=first)

    def skip(self, output: "ResumableOutput", digests: list[str], ahead: int) -> int:
        """Skips the finished lines, which must match the digests, and returns how many of them are translated again.

        Rounding depends on the batch, and batches are formed among `ahead` lines: the finished lines of an incomplete
        group are translated again, so that the others get the same neighbours. In a pipe, groups depend on timing.
        """
        again = 0 if self.is_piped else len(digests) % ahead
        kept = deque(output.check_input(self.lines, digests), maxlen=again)
        self.lines = chain(kept, self.lines)
        return again

    def count(self) -> int | None:
        """Returns the number of lines if they are in a file."""
        from kotrans.storage.files import stream_lines

        return sum(1 for _ in stream_lines(self.file)) if self.file and self.file.is_file() else None

    def _arrive(self) -> "ArrivingLines":
        from kotrans.storage.pipe_lines import ArrivingLines

        return ArrivingLines(self.lines)


def _translate(
    translator: "Translator", text: _Input, output: "ResumableOutput | None", output_format: _Format, *, resume: bool
) -> None:
    made = output_settings(translator, output_format.n_best, as_json=output_format.as_json)
    done = again = 0
    if output and resume:
        done, again = _resume(output, text, made, translator.lines_ahead)
    elif output:
        output.check_unused()  # again, because another process may have started in between
    shown = sys.stderr.isatty() and (text.is_piped or text.file is not None)
    shown = shown and (output is not None or not sys.stdout.isatty())
    total = text.count() if shown else None
    translations = islice(text.translations(translator, output_format.n_best, done - again + 1), again, None)
    remarked = with_warnings(translations, translator.tokenizer.is_unfamiliar, done + 1)
    counted = with_progress(
        with_attention_written(output_format.attention, remarked), total=total, done=done, shown=shown
    )
    write_results(((each.source, output_format.line(each)) for each in counted), output, made)


def _resume(output: "ResumableOutput", text: _Input, made: dict[str, Any], ahead: int) -> tuple[int, int]:
    """Returns how many lines are finished, and how many of these are translated again."""
    from kotrans.storage.files import disk_errors

    with disk_errors(output.partial, "nothing was changed"):
        digests = output.resume(made)
    again = text.skip(output, digests, ahead)
    print_message(f"resuming after line {len(digests)}")
    return len(digests), again


def _check(
    sentences: list[str] | None, file: Path | None, out: Path | None, attention: Path | None,
    *, prompted: bool, as_json: bool, resume: bool,
) -> None:  # fmt: skip
    if file and sentences:
        raise UsageError("give either sentences or --file, not both")
    if prompted and (out or attention):
        raise UsageError("--out and --attention need input text: give sentences, --file, or standard input")
    if prompted and as_json:
        raise UsageError("--json needs input text: give sentences, --file, or standard input")
    if resume and (attention or not out):
        raise UsageError("--continue: needs --out, and does not support --attention")
    if out and out.is_dir():
        raise UsageError(f"--out {out}: is a folder; give a file")


def _output(out: Path | None, *, resume: bool) -> "ResumableOutput | None":
    if out is None:
        return None
    from kotrans.storage.resumable_output import ResumableOutput

    output = ResumableOutput(out)
    if not resume:
        output.check_unused()
    return output


def load_models(names: list[str | Path], settings: list[str]) -> "Translator":
    """Loads runs or models, and prints their names on standard error."""
    # Imports create many permanent objects; repeated garbage collections among them would slow down the start.
    gc.disable()
    try:
        from kotrans.translation.translator import Translator

        translator = Translator.load(names, settings=settings)
    finally:
        gc.freeze()
        gc.enable()
    typer.echo(f"run {translator.name}", err=True)
    return translator


def with_attention_written(path: Path | None, translations: "Iterator[Translation]") -> "Iterator[Translation]":
    """Passes on the translations, and writes their attention weights if a path is given."""
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
    """Returns the lines of standard input.

    Not those of `sys.stdin.buffer`: at exit, Python would abort, because the thread that reads holds its lock.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except OSError:  # not a file
        return sys.stdin.buffer


def checked_text(sentence: str, number: int) -> str:
    """Returns an argument as text. Raises UsageError if it is not UTF-8 (Python passes lone surrogates)."""
    sentence = utf8_argument(sentence)
    if any("\ud800" <= character <= "\udfff" for character in sentence):
        raise UsageError(f"sentence {number}: not UTF-8 text; put it into a file and give --file")
    return sentence


def _line(translation: "Translation", n_best: int) -> str:
    if n_best == 1:
        return translation.text
    return "\t".join(f"{found.text}\t{found.score:.4f}" for found in translation.hypotheses)


def to_json(translation: "Translation") -> str:
    """Returns one line of JSON."""
    from kotrans.translation.postprocess import translation_record

    return json.dumps(translation_record(translation), ensure_ascii=False)


def _prompt(translator: "Translator", n_best: int) -> None:
    from kotrans.translation.multiprocess import translate_text

    typer.echo("Type a Korean sentence; an empty line or Ctrl-D exits.", err=True)
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(
            encoding=with_korean(sys.stdin.encoding), errors="replace"
        )  # a backspace leaves half a syllable in some terminals
    with suppress(ImportError):
        import readline  # noqa: F401  (line editing and history for `input`)
    while line := _read_line().strip():
        try:
            found = with_warnings(translate_text(translator, [line], n_best), translator.tokenizer.is_unfamiliar)
            for translation in found:
                typer.echo(_line(translation, n_best))
        except KotransError as error:
            typer.echo(f"error: {error}", err=True)


def _read_line() -> str:
    """Returns a typed line; empty at the end of the input. The prompt is not written to redirected output."""
    terminal = sys.stdout.isatty()
    if not terminal:
        typer.echo("> ", nl=False, err=True)
    try:
        return input("> " if terminal else "")
    except EOFError:
        typer.echo(err=True)
        return ""
    except KeyboardInterrupt:
        typer.echo(err=True)  # the shell continues on a new line
        raise
