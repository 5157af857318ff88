"""`kotrans fetch`, `clean`, `tokenize`, `prepare`: the stages before training, alone."""

from typing import Annotated

import typer

from kotrans.cli.options import ConfigPath, Mirror, Settings, find_config, find_library


def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Corpora of `kotrans corpora`; all of the config if left out.")
    ] = None,
    config: ConfigPath = None,
    mirror: Mirror = None,
) -> None:
    """Stage 1: fetch public corpora into the cache."""
    from dataclasses import replace

    from kotrans.cli.display import StageDisplay

    listed = names or [corpus.name for corpus in find_config(config, None).corpora if not corpus.splits]
    library = replace(find_library(mirror), progress=StageDisplay().progress)
    for name in listed:
        typer.echo(f"{name}: {library.fetch(name)}")


def clean(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Stage 2: read, clean and split the corpora, and count what was dropped and why."""
    from kotrans.cli.display import StageDisplay
    from kotrans.pipeline.stages import clean
    from kotrans.report.tables import cleaning_table

    _, manifest = clean(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(cleaning_table(manifest))


def tokenize(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Stage 3: train the tokenizer on the cleaned training text."""
    from kotrans.cli.display import StageDisplay
    from kotrans.pipeline.stages import tokenize

    _, stage, _ = tokenize(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(stage.folder)


def prepare(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Stage 4: encode the corpus as the dataset that training reads."""
    from kotrans.cli.display import StageDisplay
    from kotrans.pipeline.stages import prepare

    prepared = prepare(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(prepared.dataset)
