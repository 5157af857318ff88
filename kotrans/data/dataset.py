"""A corpus in pieces, as memory-mapped arrays: written once by `encoding`, read back without parsing."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from kotrans.config.sections import BatchConfig, Section
from kotrans.errors import DataError
from kotrans.storage.files import content_key, read_bytes, sha256, unreadable

Ids = npt.NDArray[np.uint16 | np.int32]
Integers = npt.NDArray[np.int64]

SIDES = ("source", "target")

_FORMAT = 2  # part of the key: raise it when the same inputs come to give other files


class SplitManifest(Section):
    """What became of one split."""

    pairs: int
    """Pairs that are there."""
    blocks: tuple[int, ...]
    """Pairs of each block, one behind the other; each block is a random sample of the whole."""
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
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each array's file; empty in datasets of older versions, which are not checked."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a dataset's folder. Raises DataError if it is missing or damaged."""
        path = folder / "manifest.json"
        try:
            return cls.model_validate_json(read_bytes(path))
        except ValidationError:
            raise damaged(path) from None


def dataset_key(corpus_key: str, fingerprint: str, config: BatchConfig) -> str:
    """Names the dataset that this corpus, tokenizer and these settings give."""
    return content_key([_FORMAT, corpus_key, fingerprint, config.max_pieces])


@dataclass(frozen=True)
class _Sequences:
    """Sequences of ids behind one another; number i is ids[offsets[i] : offsets[i + 1]]."""

    ids: Ids
    offsets: Integers

    def __getitem__(self, i: int) -> Ids:
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    def part(self, begin: int, end: int) -> "_Sequences":
        return _Sequences(self.ids, self.offsets[begin : end + 1])

    @cached_property
    def lengths(self) -> Integers:
        return np.diff(self.offsets)


class Dataset:
    """One split's pairs in ids, or a block of them, memory-mapped: however many they are, they take no memory."""

    def __init__(
        self, source: _Sequences, target: _Sequences, origins: npt.NDArray[np.uint16], counts: SplitManifest
    ) -> None:
        self._source = source
        self._target = target
        self.origins = origins
        """Index of the corpus of each pair."""
        self.counts = counts
        """Of the whole split."""

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Maps a split after reading it once to check its hashes.

        Raises DataError if there is none, or a file is missing or damaged.
        """
        manifest = DatasetManifest.read(folder)
        if split not in manifest.splits:
            raise DataError(f"{folder}: the dataset has no split {split!r}, only {', '.join(manifest.splits)}")
        counts = manifest.splits[split]
        if sum(counts.blocks) != counts.pairs:
            raise damaged(folder / "manifest.json")
        sides = []
        for side, pieces in (("source", counts.source_pieces), ("target", counts.target_pieces)):
            ids = load_array(folder / f"{split}.{side}.ids.npy", manifest.dtype, pieces)
            offsets = load_array(folder / f"{split}.{side}.offsets.npy", np.int64, counts.pairs + 1)
            sides.append(_Sequences(ids, offsets))
        origins = load_array(folder / f"{split}.origin.npy", np.uint16, counts.pairs)
        for name, digest in manifest.files.items():
            if name.startswith(f"{split}.") and sha256(folder / name) != digest:
                raise damaged(folder / name)
        return cls(sides[0], sides[1], origins, counts)

    @property
    def blocks(self) -> int:
        """Blocks of the split."""
        return len(self.counts.blocks)

    def begin(self, number: int) -> int:
        """Index of the first pair of a block, blocks counted from 0."""
        return sum(self.counts.blocks[:number])

    def block(self, number: int) -> "Dataset":
        """The pairs of a block of the split."""
        begin, end = self.begin(number), self.begin(number + 1)
        sides = self._source.part(begin, end), self._target.part(begin, end)
        return Dataset(*sides, self.origins[begin:end], self.counts)

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


def load_array(path: Path, dtype: npt.DTypeLike, length: int) -> npt.NDArray[Any]:
    """Maps an array of this type and length. Raises DataError if it is missing or damaged."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(
            f"{path}: there is no such file; delete {path.parent} and run `kotrans prepare` again"
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, EOFError):
        raise damaged(path) from None
    if array.dtype != dtype or array.shape != (length,):
        raise damaged(path)
    return np.asarray(array)  # an ndarray slices faster than a memmap, over the same mapped file


def damaged(path: Path) -> DataError:
    """The error that a prepared file is not what was written."""
    return DataError(f"{path}: damaged; delete {path.parent} and run `kotrans prepare` again")
