"""The corpora of a config and where their files are: listed ones in the cache, your own where you say.

The files that a split of a config names: `~`, patterns and lists made into files that are there.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kotrans.config.sections import CleaningConfig, CorpusConfig, Fields, Format, SplitConfig, SplitFiles
from kotrans.data.cleaning import PairRules, refuse_exchanged
from kotrans.data.fetch import RECORD, Progress, cache_folder, default_mirror, entry_folder, fetch
from kotrans.data.formats.pairs import Pair, Pairs, Skipped
from kotrans.data.formats.reading import NoText, read_pairs, stream_pairs
from kotrans.data.holdout import hold_out
from kotrans.data.registry import Entry, load_registry
from kotrans.errors import ConfigError, DataError, FetchError
from kotrans.storage.paths import is_pattern, matching, near_names, user_path

Names = Path | tuple[Path, ...]


def split_files(split: SplitConfig, where: str) -> tuple[SplitFiles, ...]:
    """The split's texts in order: lists as they are written, the files of each pattern sorted by name.

    Raises DataError beginning with `where` if nothing matches a pattern, a folder is named, or the sides have different
    numbers of files. That a file named in full is missing is said when it is read.
    """
    if split.path is not None:
        return tuple(SplitFiles(path=path) for path in dict.fromkeys(_files(split.path, where)))
    assert split.source is not None  # the config has either `path` or both sides
    assert split.target is not None
    sources, targets = _files(split.source, f"{where}: source"), _files(split.target, f"{where}: target")
    if len(sources) != len(targets):
        raise DataError(
            f"{where}: `source` has {len(sources)} files but `target` has {len(targets)} "
            f"({_shown(sources)}; {_shown(targets)}); file N of one must translate file N of the other"
        )
    pairs = zip(sources, targets, strict=True)
    return tuple(SplitFiles(source=source, target=target) for source, target in pairs)


def _files(names: Names, where: str) -> list[Path]:
    return [path for name in (names if isinstance(names, tuple) else (names,)) for path in _of(name, where)]


def _of(name: Path, where: str) -> list[Path]:
    path = user_path(name)
    if path.is_dir():
        raise DataError(f"{where}: {name} is a folder; name its files with a pattern, for example {name}/{_like(path)}")
    if not is_pattern(name):
        return [path]
    if found := matching(name):
        return found
    near = near_names(path)
    hint = f"; near it are {', '.join(near)}" if near else ""
    raise DataError(f"{where}: no file matches {name} (relative to {Path.cwd()}){hint}")


def _like(folder: Path) -> str:
    """A pattern for the most frequent kind of file in a folder, with those of its folders if it has none itself."""
    for pattern in ("*", "**/*"):
        endings = [file.suffix for file in matching(folder / pattern) if file.suffix]
        if endings:
            return pattern + max(sorted(set(endings)), key=endings.count)
    return "*"


def _shown(files: Sequence[Path]) -> str:
    names = [file.name for file in files[:3]]
    return ", ".join([*names, *(["…"] if len(files) > 3 else [])])


_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Texts(NamedTuple):
    """A corpus's pairs: those to train on, one at a time and once, and the other splits."""

    train: Iterator[Pair]
    held_out: dict[str, Pairs]
    files: dict[str, dict[str, int]]
    """Pairs by file, of each split that files are named for; those to train on are counted while they are read."""
    skipped: Skipped
    """Records of all files that gave no pair; those of the training split are counted while it is read."""


@dataclass(frozen=True)
class Corpus:
    """A corpus whose files are on this machine."""

    name: str
    weight: float
    format: Format
    fields: Fields
    splits: Mapping[str, tuple[SplitFiles, ...]]
    holdout: Mapping[str, int]
    folder: Path | None
    """Where a listed corpus lies; None for your own files."""

    def texts(self, scratch: Path, cleaning: CleaningConfig, processes: int | None = None) -> Texts:
        """Every split, those that are taken out of train included. Raises DataError, for train when it is read.

        `scratch` is a folder that does not exist yet, for what is needed to take splits out of train. Nothing is taken
        that `cleaning` would drop, and exchanged sides are refused unless it keeps text without Hangul.
        """
        skipped = Skipped()
        counts: dict[str, dict[str, int]] = {split: {} for split in self.splits}
        splits = {split: self._stream(split, counts[split], skipped, cleaning) for split in self.splits}
        train = splits.pop("train", iter(()))
        held_out = {split: Pairs.of(pairs) for split, pairs in splits.items()}
        if self.holdout:
            rules = PairRules(cleaning)
            taken, train = hold_out(train, self.holdout, self.name, scratch, processes, rules=rules)
            held_out |= taken
        return Texts(train, held_out, counts, skipped)

    def _stream(self, split: str, counts: dict[str, int], skipped: Skipped, cleaning: CleaningConfig) -> Iterator[Pair]:
        """The pairs of all files of a split. One file without text among several is no error."""
        empty: NoText | None = None
        for files in self.splits[split]:
            number = 0
            pairs = stream_pairs(files, self.format, self.fields, skipped, cleaning.max_malformed)
            try:
                for pair in refuse_exchanged(pairs, _named(files)) if cleaning.min_hangul > 0 else pairs:
                    number += 1
                    yield pair
            except NoText as error:
                empty = error
            counts[str(files.path or files.source)] = number
        if empty is not None and not any(counts.values()):
            raise empty

    @property
    def files(self) -> list[Path]:
        """All its files, in the order of its splits."""
        return _paths(chain.from_iterable(self.splits.values()))


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
            return read_pairs(corpus.splits[split][0], corpus.format, corpus.fields)
        with TemporaryDirectory() as folder:
            texts = corpus.texts(Path(folder) / "scratch", CleaningConfig())
            return Pairs.of(texts.train) if split == "train" else texts.held_out[split]

    def _listed(self, wanted: CorpusConfig) -> Corpus:
        entry = self.entry(wanted.name)
        folder = self.fetch(wanted.name)
        splits = entry.files_of_splits(folder)
        holdout = _checked_holdout(wanted.name, wanted.holdout or entry.holdout, splits)
        one_each = {split: (files,) for split, files in splits.items()}
        corpus = Corpus(entry.name, wanted.weight, entry.format, entry.fields, one_each, holdout, folder)
        if entry.files and (missing := [path for path in corpus.files if not path.is_file()]):
            raise FetchError(f"{missing[0]}: is missing from the fetched corpus; delete {folder} and fetch it again")
        return corpus

    def _own(self, wanted: CorpusConfig) -> Corpus:
        assert wanted.format is not None  # the config holds own splits and format together
        holdout = _checked_holdout(wanted.name, wanted.holdout, wanted.splits)
        splits = {
            split: split_files(files, f"corpus {wanted.name!r}: split {split}")
            for split, files in wanted.splits.items()
        }
        return Corpus(wanted.name, wanted.weight, wanted.format, wanted.fields, splits, holdout, None)


def _paths(files: Iterable[SplitFiles]) -> list[Path]:
    return [path for each in files for path in (each.source, each.target, each.path) if path]


def _named(files: SplitFiles) -> str:
    return str(files.path) if files.path else f"{files.source}, {files.target}"


def _listing(entry: Entry, folder: Path) -> Listing:
    splits = entry.files_of_splits(folder)
    present = all(path.is_file() for path in _paths(splits.values()))
    pairs = entry.pairs
    if present and entry.bundled:
        pairs = {
            split: sum(1 for _ in stream_pairs(files, entry.format, entry.fields)) for split, files in splits.items()
        }
    elif present:
        pairs = json.loads((folder / RECORD).read_bytes())["pairs"]
    return Listing(entry, folder, present, pairs)


def _checked_holdout(name: str, holdout: dict[str, int], splits: Iterable[str]) -> dict[str, int]:
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
