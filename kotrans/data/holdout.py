"""Taking dev and test out of a corpus that has none, the same way every time, in memory that does not grow with it."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kotrans.data.cleaning import sentence_key
from kotrans.data.duplicates import IN_MEMORY, Flags, Records, Sorter, keys_of
from kotrans.data.formats.pairs import Pair, Pairs, in_parts
from kotrans.errors import DataError
from kotrans.parallel.process_pool import PAIRS_IN_A_PART, ordered_map
from kotrans.storage.files import write_array
from kotrans.text.normalization import normalize

_FULL_ENOUGH = 0.9  # a corpus with two translations of everything cannot give 401 pairs
_RECORD = [("key", "<u8"), ("row", "<i8")]

Keys = npt.NDArray[np.uint64]
Rules = Callable[[str, str], str | None]
"""The rule that drops a normalised pair; None if it stays. Other processes get a copy of it."""


class TooFewPairs(DataError):
    """A corpus has fewer pairs than are to be held out."""

    def __init__(self, message: str, pairs: int) -> None:
        super().__init__(message)
        self.pairs = pairs


class HeldOut(NamedTuple):
    """The splits that were taken out, and what is left."""

    splits: dict[str, Pairs]
    train: Iterator[Pair]
    """In the order of the corpus; read from the scratch folder, once."""


def hold_out(
    pairs: Iterable[Pair],
    wanted: Mapping[str, int],
    where: str,
    scratch: Path,
    processes: int | None = None,
    in_memory: int = IN_MEMORY,
    rules: Rules | None = None,
) -> HeldOut:
    """The wanted splits, with as many pairs as asked for (a few less if no group fills the last places), and the rest.

    Pairs that share a sentence on either side, directly or through others, stay together. Which of these groups are
    taken is decided by a hash of their English: the order of the pairs does not matter, and when upstream adds some,
    a split changes by about their share of the whole. A pair that `rules` drop is never held out: it is left in train,
    where cleaning drops and counts it. `scratch` is a new folder for a copy of the pairs and for what
    is too much for memory.
    Raises TooFewPairs if there are too few.
    """
    scratch.mkdir(parents=True)
    copy = _HeldOutCopy(scratch)
    index = _Index(scratch, sorted(wanted), in_memory)
    for hashed in ordered_map(_Hasher(tuple(sorted(wanted)), rules), copy.written(pairs), processes):
        index.add(hashed)
    taken = np.zeros(index.rows, bool)
    rows: dict[str, list[list[int]]] = {}
    groups = index.groups()
    for split in sorted(wanted):
        rows[split] = _take(index.ranked(split), groups, wanted[split], taken)
        if sum(map(len, rows[split])) < _FULL_ENOUGH * wanted[split]:
            raise _too_few(where, split, wanted, index.fit)
    texts = dict(zip(np.flatnonzero(taken).tolist(), compress(copy, taken), strict=True))
    splits = {split: _in_order(split, [[texts[row] for row in group] for group in rows[split]]) for split in rows}
    return HeldOut(splits, compress(copy, ~taken))


def _too_few(where: str, split: str, wanted: Mapping[str, int], pairs: int) -> TooFewPairs:
    """The error, with numbers that fit: at most a tenth of the pairs for each split."""
    fitting = {name: min(count, pairs // 10) for name, count in wanted.items()}
    shown = ", ".join(f"{name}: {count}" for name, count in fitting.items())
    remedy = f"for example holdout: {{{shown}}}" if all(fitting.values()) else "there are too few for any"
    return TooFewPairs(
        f"{where}: holdout wants {wanted[split]:,} pairs for {split}, but that many cannot be set apart from the "
        f"{pairs:,} that cleaning keeps without sharing a sentence; ask for fewer, {remedy}",
        pairs,
    )


def _take(ranked: Iterator[int], groups: "_Groups", count: int, taken: Flags) -> list[list[int]]:
    """The groups of lowest rank that fit, as rows, which are then marked in `taken` (rows,)."""
    chosen: list[list[int]] = []
    room = count
    closed = taken.copy()  # taken, or in a group that is too large
    for row in ranked:
        if not room:
            break
        if not closed[row]:
            group, whole = groups.of(row, room, closed)
            closed[group] = True
            if whole:
                taken[group] = True
                chosen.append(group)
                room -= len(group)
    return chosen


def _in_order(split: str, groups: list[list[Pair]]) -> Pairs:
    return Pairs.of(pair for group in groups for pair in sorted(group, key=lambda pair: (_rank(split, pair[1]), *pair)))


class _HeldOutCopy:
    """The corpus once more, in two files of lines, which are quick to read in any part."""

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / "copy.ko", folder / "copy.en"]

    def written(self, pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
        """The pairs in parts, each written before it is given."""
        with self._paths[0].open("wb") as source_file, self._paths[1].open("wb") as target_file:
            for part in in_parts(pairs, PAIRS_IN_A_PART):
                for side, file in enumerate((source_file, target_file)):
                    file.write("".join(f"{pair[side]}\n" for pair in part).encode())
                yield part

    def __iter__(self) -> Iterator[Pair]:
        with self._paths[0].open("rb") as source_file, self._paths[1].open("rb") as target_file:
            for source, target in zip(source_file, target_file, strict=True):
                yield source[:-1].decode(), target[:-1].decode()


class _Hashed(NamedTuple):
    """The sentences of N pairs as numbers."""

    sentences: Keys  # (N, 2)
    ranks: Keys  # (N, splits), of each pair for each split
    fit: Flags  # (N,), false where the rules drop the pair


@dataclass(frozen=True)
class _Hasher:
    """Hashes the sentences of a part of the pairs."""

    splits: tuple[str, ...]
    rules: Rules | None

    def __call__(self, pairs: Sequence[Pair]) -> _Hashed:
        normal = [(normalize(source), normalize(target)) for source, target in pairs]
        same = [(sentence_key(source), sentence_key(target)) for source, target in normal]
        return _Hashed(
            keys_of((_digest(line) for pair in same for line in pair), 2),
            keys_of((_digest(f"{split}\n{target}") for _, target in same for split in self.splits), len(self.splits)),
            np.array([self.rules is None or self.rules(*pair) is None for pair in normal], bool),
        )


class _Index:
    """Rows by sentence and by rank, sorted in bounded memory."""

    def __init__(self, folder: Path, splits: Sequence[str], in_memory: int) -> None:
        self.rows = 0
        self.fit = 0
        """Rows that may be held out."""
        self._sentences = folder / "sentences"
        self._sides = [Sorter(folder / f"side-{side}", _RECORD, in_memory) for side in ("ko", "en")]
        self._ranks = {split: Sorter(folder / f"rank-{split}", _RECORD, in_memory) for split in splits}
        self._sentences.touch()

    def add(self, hashed: _Hashed) -> None:
        """The next rows."""
        rows = np.arange(self.rows, self.rows + len(hashed.fit))[hashed.fit]
        self.rows += len(hashed.fit)
        self.fit += len(rows)
        with self._sentences.open("ab") as file:
            write_array(file, hashed.sentences)
        columns = (*hashed.sentences[hashed.fit].T, *hashed.ranks[hashed.fit].T)
        for keys, sorter in zip(columns, (*self._sides, *self._ranks.values()), strict=True):
            sorter.add(keys, rows)

    def ranked(self, split: str) -> Iterator[int]:
        """Every row that may be held out, the lowest rank first."""
        for records in self._ranks[split].sorted():
            yield from records["row"].tolist()

    def groups(self) -> "_Groups":
        sentences = np.zeros((0, 2), np.uint64)
        if self.rows:
            sentences = np.asarray(np.memmap(self._sentences, np.uint64, "r", shape=(self.rows, 2)))
        return _Groups(sentences, [side.array() for side in self._sides])


class _Groups:
    """Pairs that are connected by equal sentences, found from any one of them."""

    def __init__(self, sentences: Keys, sides: Sequence[Records]) -> None:
        self._sentences = sentences
        self._sides = sides

    def of(self, row: int, most: int, closed: Flags) -> tuple[list[int], bool]:
        """The rows of a group, and true; some of them, and false, if they are more than `most` or one is closed."""
        group, ahead = {row}, [row]
        while ahead:
            for side, key in zip(self._sides, self._sentences[ahead.pop()], strict=True):
                begin = bisect_left(side["key"], key)
                end = bisect_right(side["key"], key, lo=begin)
                if end - begin > most:
                    return list(group), False
                found = [other for other in side["row"][begin:end].tolist() if other not in group]
                group.update(found)
                ahead += found
                if len(group) > most or closed[found].any():  # so a large group is not looked through twice
                    return list(group), False
        return list(group), True


def _rank(split: str, target: str) -> bytes:
    # Each split has ranks of its own, so a pair pushed out of one by upstream's additions goes back to train.
    return _digest(f"{split}\n{sentence_key(normalize(target))}")


def _digest(line: str) -> bytes:
    # Eight bytes: among ten million sentences, the chance that two different ones are taken for one is 3e-6.
    return blake2b(line.encode(), digest_size=16).digest()[:8]
