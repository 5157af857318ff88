"""Held-out splits: takes dev and test out of a corpus that has none, reproducibly."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import compress
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kotrans.data.cleaning import sentence_key
from kotrans.data.duplicates import Flags, Keys, keys_of
from kotrans.data.formats.pairs import Pair, Pairs, in_parts
from kotrans.errors import DataError
from kotrans.parallel.process_pool import PAIRS_IN_A_PART, ordered_map
from kotrans.text.normalization import normalize

# Groups stay together, so a split cannot always be filled exactly: with two translations of everything, not to 401.
_MIN_FILLED = 0.9

Rows = npt.NDArray[np.int64]
Rules = Callable[[str, str], str | None]
"""Returns the name of the rule that drops a normalised pair, or None. It is copied to worker processes."""


class TooFewPairs(DataError):
    """A corpus has fewer pairs than `holdout` requires."""

    def __init__(self, message: str, pairs: int) -> None:
        super().__init__(message)
        self.pairs = pairs


class HeldOut(NamedTuple):
    """The held-out splits and the remaining training pairs."""

    splits: dict[str, Pairs]
    train: Iterator[Pair]
    """In corpus order; reads the scratch folder and can be consumed once."""


def hold_out(
    pairs: Iterable[Pair],
    wanted: Mapping[str, int],
    where: str,
    scratch: Path,
    processes: int | None = None,
    rules: Rules | None = None,
    documents: Mapping[str, int] | None = None,
) -> HeldOut:
    """Splits a corpus into the wanted splits and the rest; a split may have slightly fewer pairs than requested.

    Pairs that share a sentence on either side, directly or through other pairs, form a group that stays together.
    Groups are chosen by a hash of their English, so the order of the pairs does not matter, and when the corpus grows,
    a split changes in proportion to the growth. Pairs that `rules` drop are never held out: they stay in train, where
    cleaning drops and counts them. `scratch` must not exist; it receives a copy of the pairs. Hashes take about 64
    bytes of memory per pair.
    documents: numbers of pairs by file, in the order of the pairs; filled while the pairs are read. If it is given, all
    pairs of a file form a group instead, chosen by a hash of its `document_names`. Sentences that it shares with train
    are left to cleaning.
    Raises TooFewPairs if a split cannot be filled.
    """
    scratch.mkdir(parents=True)
    copy = _CorpusCopy(scratch)
    names = sorted(wanted)
    hashed = _joined(ordered_map(_Hasher(tuple(names), rules), copy.written(pairs), processes), len(names))
    candidates = np.flatnonzero(hashed.allowed)
    groups: _Groups
    if documents is None:
        ranks, groups = hashed.ranks, _SharedSentences(hashed.sentences, candidates)
    else:
        ranks, groups = _document_ranks(documents, names), _Documents(list(documents.values()), hashed.allowed)
    taken = np.zeros(len(hashed.allowed), bool)
    rows: dict[str, list[list[int]]] = {}
    for number, split in enumerate(names):
        ranked = candidates[np.argsort(ranks[candidates, number], kind="stable")]
        rows[split] = _take(ranked, groups, wanted[split], taken)
        if sum(map(len, rows[split])) < _MIN_FILLED * wanted[split]:
            raise _too_few(where, split, wanted, len(candidates))
    texts = dict(zip(np.flatnonzero(taken).tolist(), compress(copy, taken), strict=True))
    in_order = _in_order if documents is None else _as_read
    splits = {split: in_order(split, [[texts[row] for row in group] for group in rows[split]]) for split in rows}
    return HeldOut(splits, compress(copy, ~taken))


def _too_few(where: str, split: str, wanted: Mapping[str, int], pairs: int) -> TooFewPairs:
    """Returns the error with sizes that fit: at most a tenth of the pairs per split."""
    fitting = {name: min(count, pairs // 10) for name, count in wanted.items()}
    shown = ", ".join(f"{name}: {count}" for name, count in fitting.items())
    remedy = f"for example holdout: {{{shown}}}" if all(fitting.values()) else "there are too few for any split"
    return TooFewPairs(
        f"{where}: holdout requires {wanted[split]:,} pairs for {split}, but that many cannot be separated from the "
        f"{pairs:,} that cleaning keeps without sharing a sentence; use a smaller number, {remedy}",
        pairs,
    )


def document_names(files: Sequence[str]) -> list[str]:
    """Returns the paths of files relative to the innermost folder that has all of them, in NFC."""
    paths = [os.path.abspath(file) for file in files]
    try:
        common = os.path.commonpath(list(map(os.path.dirname, paths)))
    except ValueError:  # on several drives of Windows
        return [unicodedata.normalize("NFC", Path(path).as_posix()) for path in paths]
    return [unicodedata.normalize("NFC", Path(os.path.relpath(path, common)).as_posix()) for path in paths]


def _document_ranks(documents: Mapping[str, int], splits: Sequence[str]) -> Keys:
    """Returns the ranks (N, splits) of the pairs, equal within a document."""
    names = document_names(list(documents))
    ranks = keys_of((_digest(f"{split}\n{name}") for name in names for split in splits), len(splits))
    return np.repeat(ranks, list(documents.values()), axis=0)


class _Groups(Protocol):
    """Pairs that must stay together."""

    def of(self, row: int, most: int, closed: Flags) -> tuple[list[int], bool]:
        """Returns the rows of a group and true, or some of them and false if it exceeds `most` or has a closed row."""
        ...


def _take(ranked: Rows, groups: _Groups, count: int, taken: Flags) -> list[list[int]]:
    """Returns the groups of lowest rank that fit into `count` rows, and sets their rows in `taken` (rows,)."""
    chosen: list[list[int]] = []
    room = count
    closed = taken.copy()  # rows that are taken or belong to a group that is too large
    for row in map(int, ranked):
        if not room:
            break
        if not closed[row]:
            group, complete = groups.of(row, room, closed)
            closed[group] = True
            if complete:
                taken[group] = True
                chosen.append(group)
                room -= len(group)
    return chosen


def _in_order(split: str, groups: list[list[Pair]]) -> Pairs:
    return Pairs.of(pair for group in groups for pair in sorted(group, key=lambda pair: (_rank(split, pair[1]), *pair)))


def _as_read(split: str, groups: list[list[Pair]]) -> Pairs:
    return Pairs.of(pair for group in groups for pair in group)


class _CorpusCopy:
    """A copy of the corpus in two files, one line per pair, which can be read repeatedly."""

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / "copy.ko", folder / "copy.en"]

    def written(self, pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
        """Yields the pairs in parts, each after it has been written."""
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
    """Hashes of N pairs."""

    sentences: Keys
    """(N, 2), hashes of both sides."""
    ranks: Keys
    """(N, splits), the order in which the pairs are taken for each split."""
    allowed: Flags
    """(N,), false where the rules drop the pair."""


@dataclass(frozen=True)
class _Hasher:
    """Hashes a part of the pairs."""

    splits: tuple[str, ...]
    rules: Rules | None

    def __call__(self, pairs: Sequence[Pair]) -> _Hashed:
        normalized = [(normalize(source), normalize(target)) for source, target in pairs]
        keys = [(sentence_key(source), sentence_key(target)) for source, target in normalized]
        return _Hashed(
            keys_of((_digest(line) for pair in keys for line in pair), 2),
            keys_of((_digest(f"{split}\n{target}") for _, target in keys for split in self.splits), len(self.splits)),
            np.array([self.rules is None or self.rules(*pair) is None for pair in normalized], bool),
        )


def _joined(parts: Iterable[_Hashed], splits: int) -> _Hashed:
    empty = _Hashed(np.zeros((0, 2), np.uint64), np.zeros((0, splits), np.uint64), np.zeros(0, bool))
    return _Hashed(*map(np.concatenate, zip(empty, *parts, strict=True)))


class _Documents:
    """Pairs of one document."""

    def __init__(self, sizes: Sequence[int], allowed: Flags) -> None:
        self._ends = np.cumsum(sizes)
        self._allowed = allowed

    def of(self, row: int, most: int, closed: Flags) -> tuple[list[int], bool]:
        document = int(self._ends.searchsorted(row, "right"))
        begin = int(self._ends[document - 1]) if document else 0
        group = (begin + np.flatnonzero(self._allowed[begin : self._ends[document]])).tolist()
        return group, len(group) <= most and not closed[group].any()


class _SharedSentences:
    """Pairs connected by equal sentences."""

    def __init__(self, sentences: Keys, rows: Rows) -> None:
        """sentences (N, 2): hashes of both sides. rows: the pairs that may be held out."""
        self._sentences = sentences
        self._rows = [rows[np.argsort(side[rows], kind="stable")] for side in sentences.T]
        self._keys = [side[order] for side, order in zip(sentences.T, self._rows, strict=True)]

    def of(self, row: int, most: int, closed: Flags) -> tuple[list[int], bool]:
        group, pending = {row}, [row]
        while pending:
            for rows, keys, key in zip(self._rows, self._keys, self._sentences[pending.pop()], strict=True):
                begin, end = keys.searchsorted(key, "left"), keys.searchsorted(key, "right")
                if end - begin > most:
                    return list(group), False
                found = [other for other in rows[begin:end].tolist() if other not in group]
                group.update(found)
                pending += found
                if len(group) > most or closed[found].any():  # stops early, so that a large group is visited once
                    return list(group), False
        return list(group), True


def _rank(split: str, target: str) -> bytes:
    # Each split has its own ranks, so a pair displaced from one split by new pairs returns to train.
    return _digest(f"{split}\n{sentence_key(normalize(target))}")


def _digest(line: str) -> bytes:
    # 64 bits: among 10^7 sentences, the probability that two different ones share a hash is 3e-6.
    return blake2b(line.encode(), digest_size=16).digest()[:8]
