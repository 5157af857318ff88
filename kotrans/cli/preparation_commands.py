"""`kotrans fetch`, `clean`, `tokenize` and `prepare`: the stages before training."""

from typing import Annotated

import typer

from kotrans.cli.options import ConfigPath, Mirror, Settings, corpus_names, find_config, find_library


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


def clean(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Clean and split the corpora, and count dropped pairs (stage 2)."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import clean
    from kotrans.report.text_table import cleaning_examples, cleaning_table, files_table

    manifest = clean(find_config(config, settings), StageDisplay(), find_library(mirror)).manifest
    typer.echo(cleaning_table(manifest))
    for part in (files_table(manifest), cleaning_examples(manifest)):
        if part:
            typer.echo(f"\n{part}")


def tokenize(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Train the tokenizer on the cleaned training text (stage 3)."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import tokenize

    _, folder, _ = tokenize(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(folder)


def prepare(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Encode the corpora as the dataset for training (stage 4)."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import prepare

    prepared = prepare(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(prepared.dataset)
