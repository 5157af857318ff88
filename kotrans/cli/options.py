"""Options that several commands share, and how a config is found from them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kotrans.config.config import Config
    from kotrans.corpus.library import Library


def run_names(incomplete: str) -> list[str]:
    """Shell completion of a run's name."""
    from kotrans.runs import all_runs

    return [run.name for run in all_runs() if run.name.startswith(incomplete)]


def corpus_names(incomplete: str) -> list[str]:
    """Shell completion of a listed corpus."""
    from kotrans.corpus.registry import load_registry

    return [name for name in load_registry() if name.startswith(incomplete)]


def run_option(metavar: str, meaning: str) -> Any:
    """`--run`, with completion of the names that there are."""
    return typer.Option("--run", metavar=metavar, help=meaning, show_default=False, autocompletion=run_names)


ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", help="A YAML config; the starter config if left out.", show_default=False
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be given often.", show_default=False
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(
        metavar="URL|FOLDER",
        help="A URL or folder to fetch corpora from instead (or KOTRANS_MIRROR).",
        show_default=False,
    ),
]
RunNames = Annotated[
    list[str] | None,
    run_option("RUN[/CHECKPOINT]", "Which run, the most recently finished one if left out; several make an ensemble."),
]
Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        metavar="PATH",
        help="A folder or zip that `kotrans export` wrote, or the folder of a run or checkpoint, instead of --run.",
        show_default=False,
    ),
]

Split = Annotated[
    str | None,
    typer.Option(
        help="Split of the (first) run's own corpora (test+long is both), or of --corpus; test if left out.",
        metavar="SPLIT",
        show_default=False,
    ),
]
TestCorpus = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        help="A corpus of `kotrans corpora` instead.",
        metavar="CORPUS",
        show_default=False,
        autocompletion=corpus_names,
    ),
]
Source = Annotated[
    Path | None,
    typer.Option(help="A file of your own instead, with --reference.", metavar="FILE", show_default=False),
]
Reference = Annotated[
    Path | None, typer.Option(help="Reference translations, a line each.", metavar="FILE", show_default=False)
]


def with_korean(encoding: str) -> str:
    """The encoding if Korean can be written in it, else UTF-8: a locale that is not set says nothing of a terminal."""
    try:
        "가".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "utf-8"
    return encoding


def utf8_argument(argument: str) -> str:
    """An argument of the command line that is UTF-8, whatever the locale made of it."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def find_config(path: Path | None, settings: list[str] | None) -> "Config":
    """The config of a command: a path, else a name of those that come with kotrans, else the starter config."""
    from kotrans.bundled import configs
    from kotrans.config.loading import load_config

    path = path or configs() / "starter.yaml"
    bundled = configs() / path.name
    if not path.exists() and bundled.exists() and path.parent.as_posix() in (".", "configs"):
        path = bundled
    return load_config(path, settings or [])


def find_library(mirror: str | None) -> "Library":
    """Where corpora come from."""
    from kotrans.corpus.library import Library

    return Library(mirror=mirror) if mirror else Library()
