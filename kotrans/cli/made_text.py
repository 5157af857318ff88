"""Sides of corpora that a model translates: distilled and back-translated text."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kotrans.cli.options import find_config
from kotrans.cli.translate_command import translate
from kotrans.errors import ConfigError

if TYPE_CHECKING:
    from kotrans.config.schema import Config
    from kotrans.config.sections import CorpusConfig


def find_data_config(path: Path | None, settings: list[str] | None) -> "Config":
    """As `find_config`, and makes the text that a model has to translate first."""
    config = find_config(path, settings)
    make_missing_text(config)
    return config


def make_missing_text(config: "Config") -> None:
    """Translates the sides of corpora that their config wants translated and that do not exist yet.

    Continues translations that were interrupted. Raises ConfigError if a corpus has no two line-aligned files to train
    on, and what `kotrans translate` raises.
    """
    for corpus in config.corpora:
        if corpus.translated is not None:
            _make(corpus)


def _make(corpus: "CorpusConfig") -> None:
    from kotrans.storage.paths import user_path
    from kotrans.storage.resumable_output import ResumableOutput

    wanted, train = corpus.translated, corpus.splits.get("train")
    assert wanted is not None
    sides = (train.source, train.target) if train else (None, None)
    source, target = (user_path(side) if side and not isinstance(side, tuple) else None for side in sides)
    if source is None or target is None:
        raise ConfigError(f"corpus {corpus.name!r}: `translated` needs one `source` and one `target` file in `train`")
    given, made = (source, target) if wanted.side == "target" else (target, source)
    if made.exists():
        return
    typer.echo(f"translate {made} from {given} with {wanted.run}", err=True)
    translate(
        file=given, out=made, resume=ResumableOutput(made).partial.exists(), runs=[wanted.run],
        settings=["search.split_sentences=false", *wanted.settings],
    )  # fmt: skip
