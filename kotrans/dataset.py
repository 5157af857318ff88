"""A corpus in pieces, as memory-mapped arrays: written once, read back without parsing."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from kotrans.config.sections import BatchConfig, Section
from kotrans.corpus.corpus import CorpusManifest
from kotrans.errors import DataError
from kotrans.files import content_key, new_directory, read_bytes, stream_lines, write_json
from kotrans.tokenizer import EOS, Tokenizer

Ids = npt.NDArray[np.uint16 | np.int32]
Integers = npt.NDArray[np.int64]

_FORMAT = 1  # part of the key: raise it when the same inputs come to give other files
_CHUNK = 20_000  # pairs encoded at once, which bounds the memory
_SIDES = ("source", "target")


class SplitManifest(Section):
    """What became of one split."""

    pairs: int
    """Pairs that are there."""
    dropped: dict[str, int]
    """Pairs left out, by reason: `empty` (a blank side) and `max_pieces` (train alone)."""
    source_pieces: int
    """Pieces of all sources, end marks counted."""
    target_pieces: int
    """Pieces of all targets, end marks counted."""
    longest_source: int
    """Pieces of the longest source, its end mark counted."""
    longest_target: int
    """Pieces of the longest target, its end mark counted."""


class DatasetManifest(Section):
    """What a dataset was made of and what came out."""

    stage: Literal["dataset"] = "dataset"
    key: str
    corpus: str
    """Key of the prepared corpus."""
    tokenizer: str
    """Fingerprint of the tokenizer."""
    max_pieces: int
    """Longest side of a training pair, its end mark not counted."""
    source_vocabulary: int
    target_vocabulary: int
    dtype: Literal["uint16", "int32"]
    """Of the ids."""
    splits: dict[str, SplitManifest]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a dataset's folder. Raises DataError if it is missing or damaged."""
        path = folder / "manifest.json"
        try:
            return cls.model_validate_json(read_bytes(path))
        except ValidationError:
            raise _damaged(path) from None


def dataset_key(corpus_key: str, fingerprint: str, config: BatchConfig) -> str:
    """Names the dataset that this corpus, tokenizer and these settings give."""
    return content_key([_FORMAT, corpus_key, fingerprint, config.max_pieces])


def prepare_dataset(
    corpus_folder: Path,
    tokenizer: Tokenizer,
    config: BatchConfig,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetManifest:
    """Encodes `train` and `dev` of a prepared corpus into a new folder.

    Training pairs with a blank side or more than `max_pieces` pieces on one side are dropped and counted; dev keeps
    its long ones, and its blank ones are dropped. `progress` is told the pairs done and the pairs in all.
    """
    corpus = CorpusManifest.read(corpus_folder)
    pairs = {split: corpus.splits[split] for split in ("train", "dev") if split in corpus.splits}
    dtype: Literal["uint16", "int32"] = "uint16"
    if max(tokenizer.source.size, tokenizer.target.size) > 2**16:
        dtype = "int32"
    with new_directory(folder) as scratch:
        splits, done = {}, 0
        for split, count in pairs.items():
            writer = _SplitWriter(scratch, split, dtype, config.max_pieces if split == "train" else None)
            for sources, targets in _encoded(corpus_folder, split, count, tokenizer):
                writer.add(sources, targets)
                done += len(sources)
                if progress:
                    progress(done, sum(pairs.values()))
            splits[split] = writer.finish(_origins(corpus_folder, split, count))
        if not splits["train"].pairs:
            raise DataError(
                f"{corpus_folder}: no training pair with two sides within batches.max_pieces ({config.max_pieces}); "
                "raise it, or check the corpus"
            )
        manifest = DatasetManifest(
            key=dataset_key(corpus.key, tokenizer.fingerprint, config),
            corpus=corpus.key,
            tokenizer=tokenizer.fingerprint,
            max_pieces=config.max_pieces,
            source_vocabulary=tokenizer.source.size,
            target_vocabulary=tokenizer.target.size,
            dtype=dtype,
            splits=splits,
        )
        write_json(scratch / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def _encoded(
    corpus_folder: Path, split: str, pairs: int, tokenizer: Tokenizer
) -> Iterator[tuple[list[list[int]], list[list[int]]]]:
    """Sources and targets, some thousand pairs at a time."""
    paths = [corpus_folder / f"{split}.{language}" for language in ("ko", "en")]
    for path in paths:
        if sum(1 for _ in stream_lines(path)) != pairs:
            raise _damaged(path)
    lines = zip(*map(stream_lines, paths), strict=True)
    while part := list(islice(lines, _CHUNK)):
        sources, targets = zip(*part, strict=True)
        yield tokenizer.source.encode(sources), tokenizer.target.encode(targets)


def _origins(corpus_folder: Path, split: str, pairs: int) -> npt.NDArray[np.uint16]:
    """Index of the corpus that each pair comes from, which only train needs."""
    if split == "train":
        return _load(corpus_folder / "train.origin.npy", np.uint16, pairs)
    return np.zeros(pairs, np.uint16)


class _SplitWriter:
    """Appends pairs to one split's files."""

    def __init__(self, folder: Path, split: str, dtype: str, limit: int | None) -> None:
        self._folder = folder
        self._split = split
        self._dtype = np.dtype(dtype)
        self._limit = limit
        self._lengths: dict[str, list[Integers]] = {side: [np.zeros(1, np.int64)] for side in _SIDES}
        self._kept = [np.zeros(0, bool)]
        self._dropped = {"empty": 0, "max_pieces": 0}

    def add(self, sources: list[list[int]], targets: list[list[int]]) -> None:
        lengths = np.array([[len(ids) for ids in side] for side in (sources, targets)])
        empty = lengths.min(0) == 0
        too_long = ~empty & (lengths.max(0) > (self._limit or lengths.max()))
        kept = ~(empty | too_long)
        self._kept.append(kept)
        self._dropped["empty"] += int(empty.sum())
        self._dropped["max_pieces"] += int(too_long.sum())
        for side, rows, row_lengths in zip(_SIDES, (sources, targets), lengths, strict=True):
            self._lengths[side].append(row_lengths[kept] + 1)
            ids = chain.from_iterable((*rows[i], EOS) for i in np.flatnonzero(kept))
            with self._path(side, "raw").open("ab") as file:
                np.fromiter(ids, self._dtype).tofile(file)

    def finish(self, origins: npt.NDArray[np.uint16]) -> SplitManifest:
        """Writes what `Dataset.open` reads."""
        kept = np.concatenate(self._kept)
        np.save(self._folder / f"{self._split}.origin.npy", origins[kept])
        lengths = {side: np.concatenate(self._lengths[side]) for side in _SIDES}
        for side in _SIDES:
            offsets = lengths[side].cumsum()
            np.save(self._path(side, "offsets.npy"), offsets)
            self._finish_ids(side, int(offsets[-1]))
        return SplitManifest(
            pairs=int(kept.sum()),
            dropped=self._dropped,
            source_pieces=int(lengths["source"].sum()),
            target_pieces=int(lengths["target"].sum()),
            longest_source=int(lengths["source"].max()),
            longest_target=int(lengths["target"].max()),
        )

    def _finish_ids(self, side: str, count: int) -> None:
        """Puts numpy's header, which tells the number of ids, before them."""
        raw = self._path(side, "raw")
        raw.touch()  # a split without pairs
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (count,)}
        with raw.open("rb") as ids, self._path(side, "ids.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            shutil.copyfileobj(ids, file)
        raw.unlink()

    def _path(self, side: str, what: str) -> Path:
        return self._folder / f"{self._split}.{side}.{what}"


@dataclass(frozen=True)
class _Sequences:
    """Sequences of ids behind one another; number i is ids[offsets[i] : offsets[i + 1]]."""

    ids: Ids
    offsets: Integers

    def __getitem__(self, i: int) -> Ids:
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    @cached_property
    def lengths(self) -> Integers:
        return np.diff(self.offsets)


class Dataset:
    """One split's pairs in ids, memory-mapped."""

    def __init__(
        self, source: _Sequences, target: _Sequences, origins: npt.NDArray[np.uint16], counts: SplitManifest
    ) -> None:
        self._source = source
        self._target = target
        self.origins = origins
        """Index of the corpus of each pair."""
        self.counts = counts

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Maps a split. Raises DataError if there is none, or a file is missing or damaged."""
        manifest = DatasetManifest.read(folder)
        if split not in manifest.splits:
            raise DataError(f"{folder}: the dataset has no split {split!r}, only {', '.join(manifest.splits)}")
        counts = manifest.splits[split]
        sides = []
        for side, pieces in (("source", counts.source_pieces), ("target", counts.target_pieces)):
            ids = _load(folder / f"{split}.{side}.ids.npy", manifest.dtype, pieces)
            offsets = _load(folder / f"{split}.{side}.offsets.npy", np.int64, counts.pairs + 1)
            sides.append(_Sequences(ids, offsets))
        origins = _load(folder / f"{split}.origin.npy", np.uint16, counts.pairs)
        return cls(sides[0], sides[1], origins, counts)

    def __len__(self) -> int:
        return len(self.origins)

    def source(self, i: int) -> Ids:
        """Pieces of the source and EOS."""
        return self._source[i]

    def target(self, i: int) -> Ids:
        """Pieces of the target and EOS."""
        return self._target[i]

    @property
    def source_lengths(self) -> Integers:
        """Pieces of each source, EOS counted."""
        return self._source.lengths

    @property
    def target_lengths(self) -> Integers:
        """Pieces of each target, EOS counted."""
        return self._target.lengths


def _load(path: Path, dtype: npt.DTypeLike, length: int) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(
            f"{path}: there is no such file; delete {path.parent} and run `kotrans prepare` again"
        ) from None
    except (OSError, ValueError, EOFError):
        raise _damaged(path) from None
    if array.dtype != dtype or array.shape != (length,):
        raise _damaged(path)
    return np.asarray(array)  # an ndarray slices faster than a memmap, over the same mapped file


def _damaged(path: Path) -> DataError:
    return DataError(f"{path}: damaged; delete {path.parent} and run `kotrans prepare` again")
