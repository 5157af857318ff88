"""Options that several commands share, and how a config is found from them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kotrans.storage.paths import user_path

if TYPE_CHECKING:
    from kotrans.config.schema import Config
    from kotrans.data.corpora import Library


def run_names(incomplete: str) -> list[str]:
    """Shell completion of a run's name."""
    from kotrans.runs.runs_folder import all_runs

    return [run.name for run in all_runs() if run.name.startswith(incomplete)]


def corpus_names(incomplete: str) -> list[str]:
    """Shell completion of a listed corpus."""
    from kotrans.data.registry import load_registry

    return [name for name in load_registry() if name.startswith(incomplete)]


def checked_settings(settings: list[str] | None) -> list[str] | None:
    """Refuses a `--set` that can never be, before anything is imported, read or made.

    Ranks of torchrun leave that to rank 0, which reads the config for all: an error is told once.
    """
    if settings and os.environ.get("WORLD_SIZE", "1") == "1":
        from kotrans.config.loading import check_overrides

        check_overrides(settings)
    return settings


def run_option(metavar: str, meaning: str) -> Any:
    """`--run`, with completion of the names that there are."""
    return typer.Option("--run", metavar=metavar, help=meaning, show_default=False, autocompletion=run_names)


def file_option(meaning: str, *names: str, **more: Any) -> Any:
    """An option that is a path: `~` is expanded, and a name in another Unicode form is found."""
    return typer.Option(*names, parser=user_path, metavar="FILE", help=meaning, **{"show_default": False} | more)


ConfigPath = Annotated[
    Path | None,
    file_option("A YAML config; the starter config if left out.", "-c", "--config"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        callback=checked_settings,
        metavar="SECTION.KEY=VALUE",
        help="Override a setting; may be given often.",
        show_default=False,
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
SplitSentences = Annotated[
    bool | None,
    typer.Option(
        "--split-sentences/--no-split-sentences",
        help="Translate each sentence of a line by itself; search.split_sentences of the run if left out, and if that "
        "is null: yes for `translate`, no for `eval`, `compare` and `score`.",
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
        parser=user_path,
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
Source = Annotated[Path | None, file_option("A file of your own instead, with --reference.")]
Reference = Annotated[Path | None, file_option("Reference translations, a line each.")]


def with_split_sentences(settings: list[str] | None, split_sentences: bool | None) -> list[str]:
    """The settings, with that of `--split-sentences` if it was given."""
    given = [] if split_sentences is None else [f"search.split_sentences={str(split_sentences).lower()}"]
    return [*(settings or []), *given]


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
    from kotrans.config.loading import load_config
    from kotrans.storage.resources import configs

    path = path or configs() / "starter.yaml"
    bundled = configs() / path.name
    if not path.exists() and bundled.exists() and path.parent.as_posix() in (".", "configs"):
        path = bundled
    return load_config(path, settings or [])


def find_library(mirror: str | None) -> "Library":
    """Where corpora come from."""
    from kotrans.data.corpora import Library

    return Library(mirror=mirror) if mirror else Library()
