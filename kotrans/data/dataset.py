"""The dataset: a corpus as piece ids in memory-mapped arrays."""

from dataclasses import dataclass
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

_FORMAT = 2  # part of the key; increase it when the same inputs give different files


class SplitManifest(Section):
    """Counts of one split."""

    pairs: int
    """Pairs in the dataset."""
    blocks: tuple[int, ...] = ()
    """Sizes of the blocks that older versions shuffled large datasets into; not used."""
    dropped: dict[str, int]
    """Dropped pairs by reason: `empty` (a blank side) and `max_pieces` (train only)."""
    source_pieces: int
    """Pieces of all sources, including EOS."""
    target_pieces: int
    """Pieces of all targets, including EOS."""
    longest_source: int
    """Pieces of the longest source, including EOS."""
    longest_target: int
    """Pieces of the longest target, including EOS."""


class DatasetManifest(Section):
    """The inputs, settings and counts of a dataset."""

    stage: Literal["dataset"] = "dataset"
    key: str
    corpus: str
    """Key of the prepared corpus."""
    tokenizer: str
    """Fingerprint of the tokenizer."""
    max_pieces: int
    """Maximum pieces per side of a training pair, without EOS."""
    source_vocabulary: int
    target_vocabulary: int
    dtype: Literal["uint16", "int32"]
    """Type of the ids."""
    splits: dict[str, SplitManifest]
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each array's file; empty in datasets of older versions, which are not verified."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the manifest of a dataset folder. Raises DataError if it is missing or damaged."""
        path = folder / "manifest.json"
        try:
            return cls.model_validate_json(read_bytes(path))
        except ValidationError:
            raise damaged(path) from None


def dataset_key(corpus_key: str, fingerprint: str, config: BatchConfig) -> str:
    """Returns the key of the dataset made from this corpus and tokenizer with these settings."""
    return content_key([_FORMAT, corpus_key, fingerprint, config.max_pieces])


@dataclass(frozen=True)
class Position:
    """The next batch of the stream, counted from 0."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True)
class _Sequences:
    """Concatenated sequences of ids; sequence i is ids[offsets[i] : offsets[i + 1]]."""

    ids: Ids
    offsets: Integers

    def __getitem__(self, i: int) -> Ids:
        return self.ids[self.offsets[i] : self.offsets[i + 1]]


class Dataset:
    """The pairs of one split as ids. The arrays are memory-mapped, so its size does not count as memory."""

    def __init__(
        self, source: _Sequences, target: _Sequences, origins: npt.NDArray[np.uint16], counts: SplitManifest
    ) -> None:
        self._source = source
        self._target = target
        self.origins = origins
        """(pairs,), index of the corpus of each pair."""
        self.counts = counts

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Maps a split and verifies the hashes of its files.

        Raises DataError if there is no such split, or a file is missing or damaged.
        """
        manifest = DatasetManifest.read(folder)
        if split not in manifest.splits:
            raise DataError(f"{folder}: the dataset has no split {split!r}, only {', '.join(manifest.splits)}")
        counts = manifest.splits[split]
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

    def __len__(self) -> int:
        return len(self.origins)

    def source(self, i: int) -> Ids:
        """Returns the pieces of source i, with EOS."""
        return self._source[i]

    def target(self, i: int) -> Ids:
        """Returns the pieces of target i, with EOS."""
        return self._target[i]

    @property
    def source_lengths(self) -> Integers:
        """(pairs,), pieces of each source, including EOS; computed from the mapped file at each access."""
        return np.diff(self._source.offsets)

    @property
    def target_lengths(self) -> Integers:
        """(pairs,), pieces of each target, including EOS; computed from the mapped file at each access."""
        return np.diff(self._target.offsets)


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
    return np.asarray(array)  # slicing an ndarray is faster than slicing a memmap of the same file


def damaged(path: Path) -> DataError:
    """Returns the error for a prepared file that is damaged."""
    return DataError(f"{path}: damaged; delete {path.parent} and run `kotrans prepare` again")
