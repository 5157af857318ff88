"""Encodes a prepared corpus into a dataset, in parts and with several processes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from kotrans.config.sections import BatchConfig
from kotrans.data.dataset import SIDES, DatasetManifest, Ids, SplitManifest, damaged, dataset_key, load_array
from kotrans.data.formats.pairs import Pair, in_parts
from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.data.tokenizer import EOS, Tokenizer, Vocabulary
from kotrans.errors import DataError
from kotrans.parallel.process_pool import PAIRS_IN_A_PART, ordered_map
from kotrans.storage.files import new_directory, sha256, stream_lines, write_array, write_json


def prepare_dataset(
    corpus: PreparedCorpus,
    tokenizer: Tokenizer,
    config: BatchConfig,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
    pairs_in_a_part: int = PAIRS_IN_A_PART,
) -> DatasetManifest:
    """Encodes `train` and `dev` of a prepared corpus into a new folder; the number of processes changes nothing.

    Training pairs with a blank side or more than `max_pieces` pieces on one side are dropped and counted; dev keeps
    its long pairs and loses only the blank ones. `progress` is called with the pairs done and the total.
    Raises DataError if the files do not match the corpus's manifest, or no training pair is left.
    """
    pairs = {split: count for split, count in corpus.manifest.splits.items() if split in ("train", "dev")}
    wide = max(tokenizer.source.size, tokenizer.target.size) > 2**16
    dtype: Literal["uint16", "int32"] = "int32" if wide else "uint16"
    done = 0

    def encoded(split: str) -> "Iterator[_Encoded]":
        nonlocal done
        work = _Encoder(tokenizer, dtype, config.max_pieces if split == "train" else None)
        parts = in_parts(_lines(corpus.folder, split, pairs[split]), pairs_in_a_part)
        for part in ordered_map(work, parts, processes):
            yield part
            done += len(part.kept)
            progress(done, sum(pairs.values()))

    with new_directory(folder) as scratch:
        splits = {
            split: _write_split(scratch, split, dtype, _origins(corpus.folder, split, count), encoded(split))
            for split, count in pairs.items()
        }
        if not splits["train"].pairs:
            raise DataError(
                f"{corpus.folder}: no training pair with two sides within batches.max_pieces ({config.max_pieces}); "
                "raise it, or check the corpus"
            )
        manifest = DatasetManifest(
            key=dataset_key(corpus.manifest.key, tokenizer.fingerprint, config), corpus=corpus.manifest.key,
            tokenizer=tokenizer.fingerprint, max_pieces=config.max_pieces, source_vocabulary=tokenizer.source.size,
            target_vocabulary=tokenizer.target.size, dtype=dtype, splits=splits,
            files={path.name: sha256(path) for path in sorted(scratch.glob("*.npy"))},
        )  # fmt: skip
        write_json(scratch / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def _lines(corpus_folder: Path, split: str, pairs: int) -> Iterator[Pair]:
    """Yields the pairs of a split. Raises DataError if their number differs from the manifest's."""
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
    """Returns the corpus index of each pair; only train needs it, other splits have 0."""
    if split == "train":
        return load_array(corpus_folder / "train.origin.npy", np.uint16, pairs)
    return np.zeros(pairs, np.uint16)


class _Encoded(NamedTuple):
    """A part of N pairs in pieces, of which K were kept."""

    kept: npt.NDArray[np.bool_]
    """(N,)."""
    dropped: dict[str, int]
    """Pairs by reason."""
    ids: dict[str, Ids]
    """The concatenated sequences of each side, each with EOS."""
    lengths: dict[str, npt.NDArray[np.int32]]
    """(K,) of each side, including EOS."""


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
        lengths = np.array([[len(ids) for ids in side] for side in sides], np.int32)
        empty = lengths.min(0) == 0
        too_long = ~empty & (lengths.max(0) > (self._limit or lengths.max()))
        kept = ~(empty | too_long)
        ids = {
            name: np.fromiter(chain.from_iterable((*side[i], EOS) for i in np.flatnonzero(kept)), self._dtype)
            for name, side in zip(SIDES, sides, strict=True)
        }
        kept_lengths = {name: side[kept] + np.int32(1) for name, side in zip(SIDES, lengths, strict=True)}
        return _Encoded(kept, {"empty": int(empty.sum()), "max_pieces": int(too_long.sum())}, ids, kept_lengths)


def _write_split(
    folder: Path, split: str, dtype: str, origins: npt.NDArray[np.uint16], parts: Iterable[_Encoded]
) -> SplitManifest:
    """Writes the arrays that `Dataset.open` maps; only lengths and flags, 9 bytes per pair, are kept in memory."""
    dropped: Counter[str] = Counter(empty=0, max_pieces=0)
    kept = [np.zeros(0, bool)]
    lengths = {side: [np.zeros(0, np.int32)] for side in SIDES}
    with ExitStack() as files:
        ids = {side: files.enter_context(_new_array(folder / f"{split}.{side}.ids.npy", dtype)) for side in SIDES}
        for part in parts:
            kept.append(part.kept)
            dropped.update(part.dropped)
            for side in SIDES:
                ids[side](part.ids[side])
                lengths[side].append(part.lengths[side])
    longest, pieces = {}, {}
    for side in SIDES:
        joined = np.concatenate(lengths.pop(side))
        longest[side], pieces[side] = int(joined.max(initial=0)), int(joined.sum(dtype=np.int64))
        with _new_array(folder / f"{split}.{side}.offsets.npy", "int64") as append:
            append(np.zeros(1, np.int64))
            append(joined.cumsum(dtype=np.int64))
    origins = origins[np.concatenate(kept)]
    with _new_array(folder / f"{split}.origin.npy", "uint16") as append:
        append(origins)
    return SplitManifest(
        pairs=len(origins), dropped=dict(dropped), source_pieces=pieces["source"], target_pieces=pieces["target"],
        longest_source=longest["source"], longest_target=longest["target"],
    )  # fmt: skip


@contextmanager
def _new_array(path: Path, dtype: str) -> Iterator[Callable[[npt.NDArray[Any]], None]]:
    """Creates a one-dimensional .npy file; yields a function that appends values."""
    count = 0

    def append(values: npt.NDArray[Any]) -> None:
        nonlocal count
        write_array(file, values)
        count += len(values)

    with path.open("wb") as file:
        _write_header(file, dtype, 0)
        begin = file.tell()
        yield append
        file.seek(0)
        _write_header(file, dtype, count)
        assert file.tell() == begin  # numpy pads headers, so that the length may grow


def _write_header(file: BinaryIO, dtype: str, count: int) -> None:
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
