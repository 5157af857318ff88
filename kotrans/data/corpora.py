"""The corpora of a config: locates their files, in the cache or where the config names them, and reads their pairs."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kotrans.config.sections import CleaningConfig, CorpusConfig, Fields, Format, HoldoutUnit, Markup, SplitFiles
from kotrans.data.cleaning import PairRules, refuse_swapped_sides
from kotrans.data.fetch import RECORD, Progress, cache_folder, default_mirror, entry_folder, fetch
from kotrans.data.formats.pairs import Pair, Pairs, Skipped
from kotrans.data.formats.reading import NoText, stream_pairs
from kotrans.data.holdout import hold_out
from kotrans.data.named_sources import entry_of_source, known_opus
from kotrans.data.paragraphs import Paragraphs
from kotrans.data.registry import Entry, load_registry
from kotrans.data.split_files import split_files
from kotrans.errors import ConfigError, FetchError

_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


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
    paragraphs: Counter[str]
    """Paragraphs by what became of them; those of train are counted while it is read."""


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
    holdout_by: HoldoutUnit = "sentence"
    markup: Markup = "none"
    split_sentences: bool = False

    def text(self, scratch: Path, cleaning: CleaningConfig, processes: int | None = None) -> CorpusText:
        """Returns all splits, including those held out of train. Raises DataError, for train while it is read.

        `scratch` must not exist; it is used if splits are held out of train. Pairs that `cleaning` drops are not held
        out, and swapped sides are refused unless `cleaning` keeps text without Hangul.
        """
        skipped = Skipped()
        paragraphs = Paragraphs(self.markup, self.split_sentences)
        counts: dict[str, dict[str, int]] = {split: {} for split in self.splits}
        splits = {split: self._stream(split, counts[split], skipped, cleaning, paragraphs) for split in self.splits}
        train = splits.pop("train", iter(()))
        held_out = {split: Pairs.of(pairs) for split, pairs in splits.items()}
        if self.holdout:
            taken, train = hold_out(
                train, self.holdout, self.name, scratch, processes, rules=PairRules(cleaning),
                documents=counts["train"] if self.holdout_by == "file" else None,
            )  # fmt: skip
            held_out |= taken
        return CorpusText(train, held_out, counts, skipped, paragraphs.counts)

    def read(self, split: str) -> Pairs:
        """Reads a split that has files, whichever side is Korean. Raises DataError."""
        paragraphs = Paragraphs(self.markup, self.split_sentences)
        return Pairs.of(self._stream(split, {}, Skipped(), CleaningConfig(min_hangul=0), paragraphs))

    def _stream(
        self, split: str, counts: dict[str, int], skipped: Skipped, cleaning: CleaningConfig, paragraphs: Paragraphs
    ) -> Iterator[Pair]:
        """Yields the pairs of all files of a split. A file without text is an error only if all files are."""
        empty: NoText | None = None
        for files in self.splits[split]:
            number = 0
            pairs = paragraphs(stream_pairs(files, self.format, self.fields, skipped, cleaning.max_malformed))
            try:
                for pair in refuse_swapped_sides(pairs, _name(files)) if cleaning.min_hangul > 0 else pairs:
                    number += 1
                    yield pair
            except NoText as error:
                empty = error
            counts[self._document(files)] = number
        if empty is not None and not any(counts.values()):
            raise empty

    def _document(self, files: SplitFiles) -> str:
        """Returns the name of a file, without the cache's folder if the corpus is a listed one."""
        path = files.path or files.source
        return str(path.relative_to(self.folder).as_posix() if self.folder and path else path)

    @property
    def train_files(self) -> list[str]:
        """The names under which the files of train are counted."""
        return [self._document(files) for files in self.splits.get("train", ())]

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
    accept_changed: bool = False
    """Take fetched files whose hash differs from the expected one."""
    registry: Mapping[str, Entry] = field(default_factory=load_registry)

    def listings(self, *, opus: bool = False) -> list[Listing]:
        """Returns the listed corpora without fetching anything. opus: whether those of OPUS follow."""
        entries = (*self.registry.values(), *(known_opus().values() if opus else ()))
        return [_listing(entry, entry_folder(entry, self.cache)) for entry in entries]

    def corpora(self, wanted: Iterable[CorpusConfig]) -> list[Corpus]:
        """Returns the corpora of a config; fetches missing ones. Raises ConfigError, DataError or FetchError."""
        return [self._own(corpus) if corpus.splits else self._listed(corpus) for corpus in wanted]

    def entry(self, name: str) -> Entry:
        """Returns the registry entry of a name. Raises ConfigError with the most similar name."""
        if found := self.registry.get(name) or entry_of_source(name):
            return found
        near = get_close_matches(name, self.registry, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known corpora: {', '.join(self.registry)}"
        raise ConfigError(f"corpus {name!r}: is not listed; {hint} (your own files need `format` and `splits`)")

    def fetch(self, name: str) -> Path:
        """Returns the folder of a listed corpus; fetches it if missing. Raises ConfigError or FetchError."""
        return fetch(
            self.entry(name), cache=self.cache, mirror=self.mirror, progress=self.progress,
            accept_changed=self.accept_changed,
        )  # fmt: skip

    def read_split(self, name: str, split: str) -> Pairs:
        """Reads a split of a listed corpus without cleaning. Raises ConfigError if there is no such split."""
        corpus = self._listed(CorpusConfig(name=name))
        if split not in (known := {*corpus.splits, *corpus.holdout}):
            raise ConfigError(f"corpus {name!r}: has no split {split!r}, only {', '.join(sorted(known))}")
        if split not in corpus.holdout and not (split == "train" and corpus.holdout):
            return corpus.read(split)
        with TemporaryDirectory() as folder:
            text = corpus.text(Path(folder) / "scratch", CleaningConfig())
            return Pairs.of(text.train) if split == "train" else text.held_out[split]

    def _listed(self, wanted: CorpusConfig) -> Corpus:
        entry = self.entry(wanted.name)
        folder = self.fetch(wanted.name)
        splits = entry.files_of_splits(folder)
        holdout = _checked_holdout(wanted.name, wanted.holdout or entry.holdout, splits)
        corpus = Corpus(
            entry.name, wanted.weight, entry.format, entry.fields or wanted.fields, splits, holdout, folder,
            holdout_by=wanted.holdout_by or entry.holdout_by,
            markup=wanted.markup or entry.markup,
            split_sentences=entry.split_sentences if wanted.split_sentences is None else wanted.split_sentences,
        )  # fmt: skip
        if entry.downloads and (missing := [path for path in corpus.files if not path.is_file()]):
            raise FetchError(f"{missing[0]}: is missing from the fetched corpus; delete {folder} and fetch it again")
        return corpus

    def _own(self, wanted: CorpusConfig) -> Corpus:
        assert wanted.format is not None  # the config requires `format` with `splits`
        holdout = _checked_holdout(wanted.name, wanted.holdout, wanted.splits)
        splits = {
            split: split_files(files, f"corpus {wanted.name!r}: split {split}")
            for split, files in wanted.splits.items()
        }
        return Corpus(
            wanted.name, wanted.weight, wanted.format, wanted.fields, splits, holdout, None,
            holdout_by=wanted.holdout_by or "sentence",
            markup=wanted.markup or "none",
            split_sentences=bool(wanted.split_sentences),
        )  # fmt: skip


def _paths(files: Iterable[SplitFiles]) -> list[Path]:
    return [path for each in files for path in (each.source, each.target, each.path) if path]


def _name(files: SplitFiles) -> str:
    return str(files.path) if files.path else f"{files.source}, {files.target}"


def _listing(entry: Entry, folder: Path) -> Listing:
    present = entry.bundled is not None or (folder / RECORD).is_file()
    pairs = entry.pairs
    if entry.bundled:
        pairs = {
            split: sum(1 for each in files for _ in stream_pairs(each, entry.format, entry.fields or Fields()))
            for split, files in entry.files_of_splits(folder).items()
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
