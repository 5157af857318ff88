"""A prepared corpus to a dataset: encoded in parts, by several processes, and laid out in blocks that are samples."""

from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from kotrans.config.sections import BatchConfig
from kotrans.data.dataset import SIDES, DatasetManifest, Ids, Integers, SplitManifest, damaged, dataset_key, load_array
from kotrans.data.formats.pairs import Pair, in_parts
from kotrans.data.prepare_corpus import CorpusManifest
from kotrans.data.tokenizer import EOS, Tokenizer, Vocabulary
from kotrans.errors import DataError
from kotrans.parallel.process_pool import PAIRS_IN_A_PART, ordered_map
from kotrans.storage.files import new_directory, sha256, stream_lines, write_array, write_json

_MOST_IN_A_BLOCK = 500_000  # pairs; an epoch is planned block by block, which bounds memory and time
_SEED = 1  # of who goes into which block; not a setting, so that one dataset serves every seed


def prepare_dataset(
    corpus_folder: Path,
    tokenizer: Tokenizer,
    config: BatchConfig,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> DatasetManifest:
    """Encodes `train` and `dev` of a prepared corpus into a new folder, the same whatever the number of processes.

    Training pairs with a blank side or more than `max_pieces` pieces on one side are dropped and counted; dev keeps
    its long ones, and its blank ones are dropped. `progress` is told the pairs done and the pairs in all.
    """
    corpus = CorpusManifest.read(corpus_folder)
    pairs = {split: corpus.splits[split] for split in ("train", "dev") if split in corpus.splits}
    wide = max(tokenizer.source.size, tokenizer.target.size) > 2**16
    dtype: Literal["uint16", "int32"] = "int32" if wide else "uint16"
    with new_directory(folder) as scratch:
        splits, before = {}, 0
        for split, count in pairs.items():
            work = _Encoder(tokenizer, dtype, config.max_pieces if split == "train" else None)
            writer = _SplitWriter(scratch, split, dtype, _origins(corpus_folder, split, count))
            for encoded in ordered_map(work, in_parts(_lines(corpus_folder, split, count), PAIRS_IN_A_PART), processes):
                writer.add(encoded)
                progress(before + writer.read, sum(pairs.values()))
            splits[split], before = writer.finish(), before + count
        if not splits["train"].pairs:
            raise DataError(
                f"{corpus_folder}: no training pair with two sides within batches.max_pieces ({config.max_pieces}); "
                "raise it, or check the corpus"
            )
        manifest = DatasetManifest(
            key=dataset_key(corpus.key, tokenizer.fingerprint, config), corpus=corpus.key,
            tokenizer=tokenizer.fingerprint, max_pieces=config.max_pieces, source_vocabulary=tokenizer.source.size,
            target_vocabulary=tokenizer.target.size, dtype=dtype, splits=splits,
            files={path.name: sha256(path) for path in sorted(scratch.glob("*.npy"))},
        )  # fmt: skip
        write_json(scratch / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def _lines(corpus_folder: Path, split: str, pairs: int) -> Iterator[Pair]:
    """Both sides, line by line. Raises DataError if they are not as many as the manifest says."""
    paths = [corpus_folder / f"{split}.{language}" for language in ("ko", "en")]
    lines = zip_longest(*map(stream_lines, paths))
    for _ in range(pairs):
        source, target = next(lines, (None, None))
        if source is None or target is None:
            raise damaged(paths[0 if source is None else 1])
        yield source, target
    if (left := next(lines, None)) is not None:
        raise damaged(paths[0 if left[0] is not None else 1])


def _origins(corpus_folder: Path, split: str, pairs: int) -> npt.NDArray[np.uint16]:
    """Index of the corpus that each pair comes from, which only train needs."""
    if split == "train":
        return load_array(corpus_folder / "train.origin.npy", np.uint16, pairs)
    return np.zeros(pairs, np.uint16)


class _Encoded(NamedTuple):
    """A part of a split in pieces: K of N pairs were kept."""

    kept: npt.NDArray[np.bool_]  # (N,)
    dropped: dict[str, int]
    ids: dict[str, Ids]  # of each side, one sequence behind the other, each with its end mark
    lengths: dict[str, Integers]  # (K,) of each side, the end mark counted


class _Encoder:
    """Encodes a part of the pairs."""

    def __init__(self, tokenizer: Tokenizer, dtype: str, limit: int | None) -> None:
        self._vocabularies: tuple[Vocabulary, Vocabulary] = (tokenizer.source, tokenizer.target)
        self._dtype = dtype
        self._limit = limit

    def __call__(self, pairs: list[Pair]) -> _Encoded:
        sides = [
            vocabulary.encode(lines)
            for vocabulary, lines in zip(self._vocabularies, zip(*pairs, strict=True), strict=True)
        ]
        lengths = np.array([[len(ids) for ids in side] for side in sides])
        empty = lengths.min(0) == 0
        too_long = ~empty & (lengths.max(0) > (self._limit or lengths.max()))
        kept = ~(empty | too_long)
        ids = {
            name: np.fromiter(chain.from_iterable((*side[i], EOS) for i in np.flatnonzero(kept)), self._dtype)
            for name, side in zip(SIDES, sides, strict=True)
        }
        kept_lengths = {name: side[kept] + 1 for name, side in zip(SIDES, lengths, strict=True)}
        return _Encoded(kept, {"empty": int(empty.sum()), "max_pieces": int(too_long.sum())}, ids, kept_lengths)


class _SplitWriter:
    """Deals one split's pairs to blocks at random, and in the end puts the blocks one behind the other.

    So each block is a sample of the whole, and nothing is in memory but a part or a block. Pairs of a block keep their
    order; where one block is enough, that is the order of the corpus.
    """

    def __init__(self, folder: Path, split: str, dtype: str, origins: npt.NDArray[np.uint16]) -> None:
        self.read = 0
        self._folder = folder
        self._split = split
        self._dtype = dtype
        self._origins = origins
        self._random = np.random.default_rng(_SEED)
        self._sizes = np.zeros(max(1, -(-len(origins) // _MOST_IN_A_BLOCK)), np.int64)
        self._dropped = {"empty": 0, "max_pieces": 0}
        self._pieces = dict.fromkeys(SIDES, 0)
        self._longest = dict.fromkeys(SIDES, 0)

    def add(self, encoded: _Encoded) -> None:
        """Takes the next part."""
        # One number for every pair read, so that parts may be of any size.
        blocks = (self._random.random(len(encoded.kept)) * len(self._sizes)).astype(np.int64)[encoded.kept]
        order = np.argsort(blocks, kind="stable")
        sizes = np.bincount(blocks, minlength=len(self._sizes))
        origins = self._origins[self.read : self.read + len(encoded.kept)][encoded.kept]
        self._append("origin", origins[order], sizes)
        for side, lengths in encoded.lengths.items():
            pieces = np.bincount(blocks, lengths, len(sizes)).astype(np.int64)
            self._append(f"{side}.lengths", lengths[order], sizes)
            self._append(f"{side}.ids", _rearranged(encoded.ids[side], lengths, order), pieces)
            self._pieces[side] += int(lengths.sum())
            self._longest[side] = max(self._longest[side], int(lengths.max(initial=0)))
        for reason, count in encoded.dropped.items():
            self._dropped[reason] += count
        self._sizes += sizes
        self.read += len(encoded.kept)

    def finish(self) -> SplitManifest:
        """Writes what `Dataset.open` reads."""
        pairs = int(self._sizes.sum())
        self._write("origin", "uint16", pairs, self._blocks("origin", "uint16"))
        for side in SIDES:
            self._write(f"{side}.offsets", "int64", pairs + 1, _offsets(self._blocks(f"{side}.lengths", "int64")))
            self._write(f"{side}.ids", self._dtype, self._pieces[side], self._blocks(f"{side}.ids", self._dtype))
        return SplitManifest(
            pairs=pairs, blocks=tuple(self._sizes[self._sizes > 0].tolist()), dropped=self._dropped,
            source_pieces=self._pieces["source"], target_pieces=self._pieces["target"],
            longest_source=self._longest["source"], longest_target=self._longest["target"],
        )  # fmt: skip

    def _append(self, what: str, values: npt.NDArray[Any], sizes: Integers) -> None:
        """Appends to each block as many of the values as are its own."""
        for number, part in enumerate(np.split(values, sizes.cumsum()[:-1])):
            with self._block(what, number).open("ab") as file:
                write_array(file, part)

    def _blocks(self, what: str, dtype: str) -> Iterator[npt.NDArray[Any]]:
        for number in range(len(self._sizes)):
            path = self._block(what, number)
            path.touch()  # a split without pairs
            yield np.fromfile(path, dtype)
            path.unlink()

    def _block(self, what: str, number: int) -> Path:
        return self._folder / f"{self._split}.{what}.{number}"

    def _write(self, what: str, dtype: str, count: int, parts: Iterator[npt.NDArray[Any]]) -> None:
        """An array as numpy saves it, which the parts make up."""
        with (self._folder / f"{self._split}.{what}.npy").open("wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count,)}
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                write_array(file, part)


def _rearranged(ids: Ids, lengths: Integers, order: Integers) -> Ids:
    """Sequences of these lengths, which stand one behind the other, in another order."""
    begins = lengths.cumsum() - lengths
    lengths = lengths[order]
    shifts = begins[order] - (lengths.cumsum() - lengths)
    return ids[np.repeat(shifts, lengths) + np.arange(len(ids))]


def _offsets(lengths: Iterator[Integers]) -> Iterator[Integers]:
    """Where each sequence begins, and where the last one ends."""
    end = np.zeros(1, np.int64)
    yield end
    for part in lengths:
        offsets = end + part.cumsum()
        yield offsets
        end = offsets[-1:] if len(offsets) else end
