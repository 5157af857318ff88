"""`kotrans fetch`, `clean`, `tokenize`, `prepare`: the stages before training, alone."""

from typing import Annotated

import typer

from kotrans.cli.options import ConfigPath, Mirror, Settings, corpus_names, find_config, find_library


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Corpora of `kotrans corpora`; all of the config if left out.",
            autocompletion=corpus_names,
        ),
    ] = None,
    config: ConfigPath = None,
    mirror: Mirror = None,
) -> None:
    """Stage 1: fetch public corpora into the cache."""
    from dataclasses import replace

    from kotrans.cli.display import StageDisplay

    listed = names or [corpus.name for corpus in find_config(config, None).corpora if not corpus.splits]
    display = StageDisplay()
    library = replace(find_library(mirror), progress=display.progress)
    for name in listed:
        folder = library.fetch(name)
        display.close()
        typer.echo(f"{name}: {folder}")
    if not listed:
        typer.echo("nothing to fetch: every corpus of this config is in files of your own", err=True)


def clean(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Stage 2: clean and split the corpora, counting what is dropped."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import clean
    from kotrans.report.text_table import cleaning_examples, cleaning_table, files_table

    manifest = clean(find_config(config, settings), StageDisplay(), find_library(mirror)).manifest
    typer.echo(cleaning_table(manifest))
    for part in (files_table(manifest), cleaning_examples(manifest)):
        if part:
            typer.echo(f"\n{part}")


def tokenize(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Stage 3: train the tokenizer on the cleaned training text."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import tokenize

    _, folder, _ = tokenize(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(folder)


def prepare(config: ConfigPath = None, settings: Settings = None, mirror: Mirror = None) -> None:
    """Stage 4: encode the corpus as the dataset that training reads."""
    from kotrans.cli.display import StageDisplay
    from kotrans.data.stages import prepare

    prepared = prepare(find_config(config, settings), StageDisplay(), find_library(mirror))
    typer.echo(prepared.dataset)
