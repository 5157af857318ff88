"""Options that several commands share, and how they become a config."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kotrans.storage.paths import user_path

if TYPE_CHECKING:
    from kotrans.config.schema import Config
    from kotrans.data.corpora import Library


def run_names(incomplete: str) -> list[str]:
    """Completes the name of a run in the shell."""
    from kotrans.runs.runs_folder import all_runs

    return [run.name for run in all_runs() if run.name.startswith(incomplete)]


def corpus_names(incomplete: str) -> list[str]:
    """Completes the name of a public corpus in the shell."""
    from kotrans.data.registry import load_registry

    return [name for name in load_registry() if name.startswith(incomplete)]


def checked_settings(settings: list[str] | None) -> list[str] | None:
    """Refuses an invalid `--set` before anything is imported, read or written.

    Under torchrun only rank 0 checks, when it reads the config for all ranks, so that an error is printed once.
    """
    if settings and os.environ.get("WORLD_SIZE", "1") == "1":
        from kotrans.config.loading import check_overrides

        check_overrides(settings)
    return settings


def run_option(metavar: str, help_text: str) -> Any:
    """Returns a `--run` option with completion."""
    return typer.Option("--run", metavar=metavar, help=help_text, autocompletion=run_names)


def file_option(help_text: str, *names: str) -> Any:
    """Returns an option that is a path: expands `~`, and finds names in another Unicode normalisation form."""
    return typer.Option(*names, parser=user_path, metavar="FILE", help=help_text)


ConfigPath = Annotated[Path | None, file_option("YAML config (default: the starter config).", "-c", "--config")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", callback=checked_settings, metavar="SECTION.KEY=VALUE", help="Override a setting; repeatable."
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(
        metavar="URL|FOLDER",
        help="Fetch corpora from this URL or folder (default: KOTRANS_MIRROR, else their own URLs).",
    ),
]
SplitSentences = Annotated[
    bool | None,
    typer.Option(
        "--split-sentences/--no-split-sentences",
        help="Translate each sentence of a line separately (default: search.split_sentences of the run; if that is "
        "null, on for `translate` and off for `eval`, `compare` and `score`).",
    ),
]
RunNames = Annotated[
    list[str] | None,
    run_option(
        "RUN[/CHECKPOINT]", "Run to use (default: most recently finished); repeatable, several runs form an ensemble."
    ),
]
Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        parser=user_path,
        metavar="PATH",
        help="Model written by `kotrans export` (folder or zip), or folder of a run or checkpoint, instead of --run; "
        "repeatable.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Split of the (first) run's own corpora or of --corpus; join several with +, such as test+long "
        "(default: test).",
        metavar="SPLIT",
    ),
]
TestCorpus = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        help="Public corpus to use instead of the run's own; `kotrans corpora` lists them.",
        metavar="CORPUS",
        autocompletion=corpus_names,
    ),
]
Source = Annotated[Path | None, file_option("Korean text to use instead, one sentence per line; needs --reference.")]
Reference = Annotated[Path | None, file_option("Reference translations, one per line.")]


GlossaryFile = Annotated[
    Path | None,
    file_option("Terms that the translations must contain: Korean, tab, English per line (sets search.glossary)."),
]


def as_settings(**values: Any) -> list[str]:
    """Returns settings of the search for `--set`; those whose value is None are left out."""
    return [
        f"search.{key}={json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)}"
        for key, value in values.items()
        if value is not None
    ]


def with_split_sentences(settings: list[str] | None, split_sentences: bool | None) -> list[str]:
    """Returns the settings, with that of `--split-sentences` if it was given."""
    given = [] if split_sentences is None else [f"search.split_sentences={str(split_sentences).lower()}"]
    return [*(settings or []), *given]


def with_korean(encoding: str) -> str:
    """Returns the encoding if it can represent Korean, else UTF-8: an unset locale says nothing about a terminal."""
    try:
        "가".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "utf-8"
    return encoding


def utf8_argument(argument: str) -> str:
    """Returns a command-line argument decoded as UTF-8, whatever the locale."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def find_config(path: Path | None, settings: list[str] | None) -> "Config":
    """Loads the config of a command: a path, else the name of a bundled config, else the starter config."""
    from kotrans.config.loading import load_config
    from kotrans.storage.resources import configs

    path = path or configs() / "starter.yaml"
    bundled = configs() / path.name
    if not path.exists() and bundled.exists() and path.parent.as_posix() in (".", "configs"):
        path = bundled
    return load_config(path, settings or [])


def find_library(mirror: str | None) -> "Library":
    """Returns the library of public corpora."""
    from kotrans.data.corpora import Library

    return Library(mirror=mirror) if mirror else Library()
