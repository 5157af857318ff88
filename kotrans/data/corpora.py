"""The corpora of a config: locates their files, in the cache or where the config names them, and reads their pairs."""

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
from kotrans.data.cleaning import PairRules, refuse_swapped_sides
from kotrans.data.fetch import RECORD, Progress, cache_folder, default_mirror, entry_folder, fetch
from kotrans.data.formats.pairs import Pair, Pairs, Skipped
from kotrans.data.formats.reading import NoText, read_pairs, stream_pairs
from kotrans.data.holdout import hold_out
from kotrans.data.registry import Entry, load_registry
from kotrans.errors import ConfigError, DataError, FetchError
from kotrans.storage.paths import is_pattern, matching_files, similar_paths, user_path

_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def split_files(split: SplitConfig, where: str) -> tuple[SplitFiles, ...]:
    """Resolves `~`, patterns and lists: lists keep their order, the files of each pattern are sorted by name.

    Raises DataError beginning with `where` if a pattern matches nothing, a folder is named, or the sides have different
    numbers of files. A missing file without a pattern is reported when it is read.
    """
    if split.path is not None:
        return tuple(SplitFiles(path=path) for path in dict.fromkeys(_files(split.path, where)))
    assert split.source is not None  # the config requires `path` or both sides
    assert split.target is not None
    sources, targets = _files(split.source, f"{where}: source"), _files(split.target, f"{where}: target")
    if len(sources) != len(targets):
        raise DataError(
            f"{where}: `source` has {len(sources)} files but `target` has {len(targets)} "
            f"({_shown(sources)}; {_shown(targets)}); file N of one must translate file N of the other"
        )
    pairs = zip(sources, targets, strict=True)
    return tuple(SplitFiles(source=source, target=target) for source, target in pairs)


def _files(names: Path | tuple[Path, ...], where: str) -> list[Path]:
    return [path for name in (names if isinstance(names, tuple) else (names,)) for path in _matches(name, where)]


def _matches(name: Path, where: str) -> list[Path]:
    path = user_path(name)
    if path.is_dir():
        raise DataError(
            f"{where}: {name} is a folder; name its files with a pattern, for example {name}/{_typical_pattern(path)}"
        )
    if not is_pattern(name):
        return [path]
    if found := matching_files(name):
        return found
    near = similar_paths(path)
    hint = f"; similar names: {', '.join(near)}" if near else ""
    raise DataError(f"{where}: no file matches {name} (relative to {Path.cwd()}){hint}")


def _typical_pattern(folder: Path) -> str:
    """Returns a pattern for the most frequent file ending in a folder, or in its subfolders if it has no files."""
    for pattern in ("*", "**/*"):
        endings = [file.suffix for file in matching_files(folder / pattern) if file.suffix]
        if endings:
            return pattern + max(sorted(set(endings)), key=endings.count)
    return "*"


def _shown(files: Sequence[Path]) -> str:
    names = [file.name for file in files[:3]]
    return ", ".join([*names, *(["…"] if len(files) > 3 else [])])


class CorpusText(NamedTuple):
    """The pairs of a corpus."""

    train: Iterator[Pair]
    """Training pairs; can be consumed once."""
    held_out: dict[str, Pairs]
    """All other splits."""
    files: dict[str, dict[str, int]]
    """Pairs by file of each split that has files; those of train are counted while it is read."""
    skipped: Skipped
    """Records of all files that are not pairs; those of train are counted while it is read."""


@dataclass(frozen=True)
class Corpus:
    """A corpus whose files have been located."""

    name: str
    weight: float
    format: Format
    fields: Fields
    splits: Mapping[str, tuple[SplitFiles, ...]]
    holdout: Mapping[str, int]
    folder: Path | None
    """Folder of a listed corpus; None for your own files."""

    def text(self, scratch: Path, cleaning: CleaningConfig, processes: int | None = None) -> CorpusText:
        """Returns all splits, including those held out of train. Raises DataError, for train while it is read.

        `scratch` must not exist; it is used if splits are held out of train. Pairs that `cleaning` drops are not held
        out, and swapped sides are refused unless `cleaning` keeps text without Hangul.
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
        return CorpusText(train, held_out, counts, skipped)

    def _stream(self, split: str, counts: dict[str, int], skipped: Skipped, cleaning: CleaningConfig) -> Iterator[Pair]:
        """Yields the pairs of all files of a split. A file without text is an error only if all files are."""
        empty: NoText | None = None
        for files in self.splits[split]:
            number = 0
            pairs = stream_pairs(files, self.format, self.fields, skipped, cleaning.max_malformed)
            try:
                for pair in refuse_swapped_sides(pairs, _name(files)) if cleaning.min_hangul > 0 else pairs:
                    number += 1
                    yield pair
            except NoText as error:
                empty = error
            counts[str(files.path or files.source)] = number
        if empty is not None and not any(counts.values()):
            raise empty

    @property
    def files(self) -> list[Path]:
        """All files, in the order of the splits."""
        return _paths(chain.from_iterable(self.splits.values()))


@dataclass(frozen=True)
class Listing:
    """An entry of the list of `kotrans corpora`."""

    entry: Entry
    folder: Path
    """The corpus's folder, whether it exists or not."""
    present: bool
    pairs: Mapping[str, int]
    """Pairs in each split; empty if unknown before fetching."""


@dataclass(frozen=True)
class Library:
    """The listed corpora, with their cache and mirror."""

    cache: Path = field(default_factory=cache_folder)
    mirror: str | None = field(default_factory=default_mirror)
    progress: Progress | None = None
    registry: Mapping[str, Entry] = field(default_factory=load_registry)

    def listings(self) -> list[Listing]:
        """Returns the listed corpora without fetching anything."""
        return [_listing(entry, entry_folder(entry, self.cache)) for entry in self.registry.values()]

    def corpora(self, wanted: Iterable[CorpusConfig]) -> list[Corpus]:
        """Returns the corpora of a config; fetches missing ones. Raises ConfigError, DataError or FetchError."""
        return [self._own(corpus) if corpus.splits else self._listed(corpus) for corpus in wanted]

    def entry(self, name: str) -> Entry:
        """Returns the registry entry of a name. Raises ConfigError with the most similar name."""
        if name in self.registry:
            return self.registry[name]
        near = get_close_matches(name, self.registry, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known corpora: {', '.join(self.registry)}"
        raise ConfigError(f"corpus {name!r}: is not listed; {hint} (your own files need `format` and `splits`)")

    def fetch(self, name: str) -> Path:
        """Returns the folder of a listed corpus; fetches it if missing. Raises ConfigError or FetchError."""
        return fetch(self.entry(name), cache=self.cache, mirror=self.mirror, progress=self.progress)

    def read_split(self, name: str, split: str) -> Pairs:
        """Reads a split of a listed corpus without cleaning. Raises ConfigError if there is no such split."""
        corpus = self._listed(CorpusConfig(name=name))
        if split not in (known := {*corpus.splits, *corpus.holdout}):
            raise ConfigError(f"corpus {name!r}: has no split {split!r}, only {', '.join(sorted(known))}")
        if split not in corpus.holdout and not (split == "train" and corpus.holdout):
            return read_pairs(corpus.splits[split][0], corpus.format, corpus.fields)
        with TemporaryDirectory() as folder:
            text = corpus.text(Path(folder) / "scratch", CleaningConfig())
            return Pairs.of(text.train) if split == "train" else text.held_out[split]

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
        assert wanted.format is not None  # the config requires `format` with `splits`
        holdout = _checked_holdout(wanted.name, wanted.holdout, wanted.splits)
        splits = {
            split: split_files(files, f"corpus {wanted.name!r}: split {split}")
            for split, files in wanted.splits.items()
        }
        return Corpus(wanted.name, wanted.weight, wanted.format, wanted.fields, splits, holdout, None)


def _paths(files: Iterable[SplitFiles]) -> list[Path]:
    return [path for each in files for path in (each.source, each.target, each.path) if path]


def _name(files: SplitFiles) -> str:
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
            raise ConfigError(
                f"corpus {name!r}: split {split!r} becomes part of file names; use letters, digits, _ and -"
            )
    if twice := [split for split in holdout if split in splits]:
        raise ConfigError(f"corpus {name!r}: has files for {twice[0]}, so {twice[0]} cannot be held out of train")
    if holdout and "train" not in splits:
        raise ConfigError(f"corpus {name!r}: holdout requires a train split, but there is none")
    if few := [split for split, count in holdout.items() if count < 1]:
        raise ConfigError(f"corpus {name!r}: holdout.{few[0]} must be at least 1")
    return dict(holdout)
