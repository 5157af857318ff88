"""`kotrans fetch`, `clean`, `tokenize` and `prepare`: the stages before training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.made_text import find_data_config
from kotrans.cli.options import (
    ConfigPath,
    Mirror,
    Settings,
    corpus_names,
    file_option,
    find_config,
    find_library,
)
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from kotrans.config.schema import Config
    from kotrans.data.corpora import Library


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CORPUS]...",
            help="Public corpora, see `kotrans corpora` (default: those of the config).",
            autocompletion=corpus_names,
        ),
    ] = None,
    config: ConfigPath = None,
    mirror: Mirror = None,
    accept_changed: Annotated[
        bool, typer.Option("--accept-changed", help="Take files that differ from the expected hash.")
    ] = False,
) -> None:
    """Fetch public corpora into the cache (stage 1)."""
    from dataclasses import replace

    from kotrans.cli.display import StageDisplay

    wanted = names or [corpus.name for corpus in find_config(config, None).corpora if not corpus.splits]
    display = StageDisplay()
    library = replace(find_library(mirror), progress=display.progress, accept_changed=accept_changed)
    for name in wanted:
        folder = library.fetch(name)
        display.close()
        typer.echo(f"{name}: {folder}")
    if not wanted:
        typer.echo("nothing to fetch: every corpus of this config is in local files", err=True)


def clean(
    config: ConfigPath = None,
    settings: Settings = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Also show N random dropped pairs of each reason, lengths, and overlaps of corpora.",
        ),
    ] = None,
    dropped: Annotated[
        Path | None, file_option("Write all dropped pairs: corpus, reason, Korean and English, tab-separated.")
    ] = None,
    mirror: Mirror = None,
) -> None:
    """Clean and split the corpora, and count dropped pairs (stage 2)."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import clean
    from kotrans.report.text_table import cleaning_examples, cleaning_table, files_table

    if dropped and dropped.exists():
        raise UsageError(f"--dropped {dropped}: exists already; give another file, or delete it")
    resolved, library = find_data_config(config, settings), find_library(mirror)
    manifest = clean(resolved, StageDisplay(), library).manifest
    typer.echo(cleaning_table(manifest))
    for part in (files_table(manifest), "" if samples else cleaning_examples(manifest)):
        if part:
            typer.echo(f"\n{part}")
    if samples is not None or dropped:
        _survey(resolved, library, samples, dropped)


def _survey(config: "Config", library: "Library", samples: int | None, dropped: Path | None) -> None:
    """Reads the training text again; prints a survey of it, and writes the dropped pairs."""
    from kotrans.data.survey import survey
    from kotrans.report.survey_text import survey_text
    from kotrans.storage.files import disk_errors, new_file

    corpora = library.corpora(config.corpora)
    if dropped is None:
        found = survey(config, corpora, samples or 0)
    else:
        with (
            disk_errors(dropped, "nothing was written"),
            new_file(dropped) as scratch,
            scratch.open("w", encoding="utf-8", newline="\n") as file,
        ):
            found = survey(
                config, corpora, samples or 0,
                lambda name, reason, pair: file.write("\t".join((name, reason, *pair)) + "\n"),
            )  # fmt: skip
        typer.echo(f"written to {dropped}", err=True)
    if samples is not None:
        typer.echo(f"\n{survey_text(found)}")


def tokenize(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Train the tokenizer on the cleaned training text (stage 3)."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import tokenize

    _, folder, _ = tokenize(find_data_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(folder)


def prepare(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Encode the corpora as the dataset for training (stage 4)."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import prepare

    prepared = prepare(find_data_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(prepared.dataset)
