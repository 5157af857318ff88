"""The corpora of a config and where their files are: listed ones in the cache, your own where you say."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kotrans.config.sections import CleaningConfig, CorpusConfig, Fields, Format, SplitFiles
from kotrans.corpus.fetch import RECORD, Progress, cache_folder, default_mirror, entry_folder, fetch
from kotrans.corpus.formats.pairs import Pair, Pairs
from kotrans.corpus.formats.reading import read_pairs, stream_pairs
from kotrans.corpus.formats.skipped import Skipped
from kotrans.corpus.holdout import hold_out
from kotrans.corpus.registry import Entry, load_registry
from kotrans.errors import ConfigError, FetchError

_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Texts(NamedTuple):
    """A corpus's pairs: those to train on, one at a time and once, and the other splits."""

    train: Iterator[Pair]
    held_out: dict[str, Pairs]
    skipped: Skipped
    """What gave no pair in all files; what is in those to train on is counted while they are read."""


@dataclass(frozen=True)
class Corpus:
    """A corpus whose files are on this machine."""

    name: str
    weight: float
    format: Format
    fields: Fields
    splits: Mapping[str, SplitFiles]
    holdout: Mapping[str, int]
    folder: Path | None
    """Where a listed corpus lies; None for your own files."""

    def texts(self, scratch: Path, cleaning: CleaningConfig, processes: int | None = None) -> Texts:
        """Every split, those that are taken out of train included. Raises DataError, for train when it is read.

        `scratch` is a folder that does not exist yet, for what is needed to take splits out of train.
        """
        skipped = Skipped()
        splits = {split: self._stream(split, skipped, cleaning.max_malformed) for split in self.splits}
        train = splits.pop("train", iter(()))
        held_out = {split: Pairs.of(pairs) for split, pairs in splits.items()}
        if self.holdout:
            taken, train = hold_out(train, self.holdout, self.name, scratch, processes)
            held_out |= taken
        return Texts(train, held_out, skipped)

    def _stream(self, split: str, skipped: Skipped, max_malformed: float) -> Iterator[Pair]:
        return stream_pairs(self.splits[split], self.format, self.fields, skipped, max_malformed)

    @property
    def files(self) -> list[Path]:
        """All its files, in the order of its splits."""
        return _paths(self.splits)


@dataclass(frozen=True)
class Listing:
    """A line of `kotrans corpora`."""

    entry: Entry
    folder: Path
    """Where it is, or would be."""
    present: bool
    pairs: Mapping[str, int]
    """Pairs in each split; empty if that is not known before fetching."""


@dataclass(frozen=True)
class Library:
    """The listed corpora, where they are kept, and where they come from."""

    cache: Path = field(default_factory=cache_folder)
    mirror: str | None = field(default_factory=default_mirror)
    progress: Progress | None = None
    registry: Mapping[str, Entry] = field(default_factory=load_registry)

    def listings(self) -> list[Listing]:
        """What there is; fetches nothing."""
        return [_listing(entry, entry_folder(entry, self.cache)) for entry in self.registry.values()]

    def corpora(self, wanted: Iterable[CorpusConfig]) -> list[Corpus]:
        """The corpora of a config, fetched if they are missing. Raises ConfigError or FetchError."""
        return [self._own(corpus) if corpus.splits else self._listed(corpus) for corpus in wanted]

    def entry(self, name: str) -> Entry:
        """The listed corpus of that name. Raises ConfigError with the nearest name."""
        if name in self.registry:
            return self.registry[name]
        near = get_close_matches(name, self.registry, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.registry)}"
        raise ConfigError(f"corpus {name!r}: is not listed; {hint} (your own files need `format` and `splits`)")

    def fetch(self, name: str) -> Path:
        """The folder of a listed corpus, fetched if it is missing. Raises ConfigError or FetchError."""
        return fetch(self.entry(name), cache=self.cache, mirror=self.mirror, progress=self.progress)

    def read_split(self, name: str, split: str) -> Pairs:
        """One split of a listed corpus as it stands upstream. Raises ConfigError if there is no such split."""
        corpus = self._listed(CorpusConfig(name=name))
        if split not in (known := {*corpus.splits, *corpus.holdout}):
            raise ConfigError(f"corpus {name!r}: has no split {split!r}, but {', '.join(sorted(known))}")
        if split not in corpus.holdout and not (split == "train" and corpus.holdout):
            return read_pairs(corpus.splits[split], corpus.format, corpus.fields)
        with TemporaryDirectory() as folder:
            texts = corpus.texts(Path(folder) / "scratch", CleaningConfig())
            return Pairs.of(texts.train) if split == "train" else texts.held_out[split]

    def _listed(self, wanted: CorpusConfig) -> Corpus:
        entry = self.entry(wanted.name)
        folder = self.fetch(wanted.name)
        splits = entry.files_of_splits(folder)
        holdout = _checked_holdout(wanted.name, wanted.holdout or entry.holdout, splits)
        corpus = Corpus(entry.name, wanted.weight, entry.format, entry.fields, splits, holdout, folder)
        if entry.files and (missing := [path for path in corpus.files if not path.is_file()]):
            raise FetchError(f"{missing[0]}: is missing from the fetched corpus; delete {folder} and fetch it again")
        return corpus

    def _own(self, wanted: CorpusConfig) -> Corpus:
        assert wanted.format is not None  # the config holds own splits and format together
        holdout = _checked_holdout(wanted.name, wanted.holdout, wanted.splits)
        return Corpus(wanted.name, wanted.weight, wanted.format, wanted.fields, wanted.splits, holdout, None)


def _paths(splits: Mapping[str, SplitFiles]) -> list[Path]:
    return [path for files in splits.values() for path in (files.source, files.target, files.path) if path]


def _listing(entry: Entry, folder: Path) -> Listing:
    splits = entry.files_of_splits(folder)
    present = all(path.is_file() for path in _paths(splits))
    pairs = entry.pairs
    if present and entry.bundled:
        pairs = {
            split: sum(1 for _ in stream_pairs(files, entry.format, entry.fields)) for split, files in splits.items()
        }
    elif present:
        pairs = json.loads((folder / RECORD).read_bytes())["pairs"]
    return Listing(entry, folder, present, pairs)


def _checked_holdout(name: str, holdout: dict[str, int], splits: Mapping[str, SplitFiles]) -> dict[str, int]:
    for split in (*splits, *holdout):
        if not _SPLIT_NAME.fullmatch(split):
            raise ConfigError(f"corpus {name!r}: split {split!r} is part of file names; use letters, digits, _ and -")
    if twice := [split for split in holdout if split in splits]:
        raise ConfigError(f"corpus {name!r}: has files for {twice[0]}, so holdout cannot take {twice[0]} out of train")
    if holdout and "train" not in splits:
        raise ConfigError(f"corpus {name!r}: holdout takes pairs out of train, but there is no train split")
    if few := [split for split, count in holdout.items() if count < 1]:
        raise ConfigError(f"corpus {name!r}: holdout.{few[0]} must be at least 1")
    return dict(holdout)
