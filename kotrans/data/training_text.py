"""Writes the training text of all corpora, cleaned in parts by several processes."""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress, islice
from pathlib import Path

import numpy as np

from kotrans.data.cleaning import Cleaned, Cleaner, Counts
from kotrans.data.duplicates import Flags, Keys, occurrences, repeated_rows
from kotrans.data.formats.pairs import EXAMPLES, Pair, in_parts
from kotrans.parallel.process_pool import PAIRS_IN_A_PART, ordered_map


def write_training_text(
    folder: Path,
    corpora: Sequence[Iterable[Pair]],
    cleaner: Cleaner,
    *,
    duplicates: bool,
    max_target_occurrences: int | None = None,
    processes: int | None = None,
    progress: Callable[[int], None] = lambda read: None,
    pairs_in_a_part: int = PAIRS_IN_A_PART,
) -> list[Counts]:
    """Writes train.ko, train.en and train.origin.npy (corpus index, uint16); returns the counts of each corpus.

    With `duplicates`, only the first of equal pairs is kept, and of pairs with equal targets the first
    `max_target_occurrences`, across all corpora. `progress` is called with the number of pairs read. Only hashes, 16 to
    24 bytes per pair, are kept in memory.
    """
    text = _TrainingText(folder, len(corpora))
    origins: deque[int] = deque()

    def parts() -> Iterator[tuple[int, list[Pair]]]:
        for origin, pairs in enumerate(corpora):
            for part in in_parts(pairs, pairs_in_a_part):
                origins.append(origin)
                yield origin, part

    for cleaned in ordered_map(cleaner.of_corpus, parts(), processes):
        text.add(cleaned, origins.popleft())
        progress(sum(count.read for count in text.counts))
    text.finish(duplicates, max_target_occurrences)
    return text.counts


class _TrainingText:
    """The output files, and the hashes and flags of the pairs written so far."""

    def __init__(self, folder: Path, corpora: int) -> None:
        self.counts = [Counts() for _ in range(corpora)]
        self._files = [folder / "train.ko", folder / "train.en"]
        self._origins = folder / "train.origin.npy"
        self._hashes: list[Keys] = [np.zeros((0, 2), np.uint64)]
        self._targets: list[Keys] = [np.zeros((0, 1), np.uint64)]
        self._held_out: list[Flags] = [np.zeros(0, bool)]
        for path in self._files:
            path.touch()

    def add(self, cleaned: Cleaned, origin: int) -> None:
        for path, lines in zip(self._files, (cleaned.source, cleaned.target), strict=True):
            with path.open("ab") as file:
                file.write(lines)
        self.counts[origin].add(cleaned.counts)
        self._hashes.append(cleaned.hashes)
        self._targets.append(cleaned.targets)
        self._held_out.append(cleaned.held_out)

    def finish(self, duplicates: bool, max_target_occurrences: int | None) -> None:
        """Applies the rules that compare pairs; rewrites the files only if they drop any."""
        held_out, hashes = np.concatenate(self._held_out), np.concatenate(self._hashes)
        self._hashes.clear()
        repeated = repeated_rows(hashes) if duplicates else np.zeros(len(hashes), bool)
        held_out &= ~repeated
        kept = ~(repeated | held_out)
        frequent = np.zeros(len(hashes), bool)
        if max_target_occurrences is not None:
            targets = np.concatenate(self._targets)[:, 0]
            frequent[kept] = occurrences(targets[kept]) >= max_target_occurrences
        self._count({"duplicates": repeated, "contamination": held_out, "max_target_occurrences": frequent})
        kept &= ~frequent
        for path in () if kept.all() else self._files:
            _keep_lines(path, kept)
        origins = np.repeat(np.arange(len(self.counts), dtype=np.uint16), [count.kept for count in self.counts])
        np.save(self._origins, origins, allow_pickle=False)

    def _count(self, dropped: Mapping[str, Flags]) -> None:
        """Counts the dropped pairs of each corpus, and stores the first ones as examples."""
        first: dict[int, tuple[Counts, str]] = {}
        begins = np.cumsum([0, *(count.kept for count in self.counts)]).tolist()
        for reason, flags in dropped.items():
            for count, begin, end in zip(self.counts, begins, begins[1:], strict=False):
                rows = begin + np.flatnonzero(flags[begin:end])
                count.dropped[reason] += len(rows)
                count.kept -= len(rows)
                first |= dict.fromkeys(rows[:EXAMPLES].tolist(), (count, reason))
        for row, pair in self._pairs(first):
            count, reason = first[row]
            count.examples.setdefault(reason, []).append(pair)

    def _pairs(self, rows: Collection[int]) -> Iterator[tuple[int, Pair]]:
        with self._files[0].open("rb") as source, self._files[1].open("rb") as target:
            last = max(rows, default=-1)
            for row, (korean, english) in enumerate(islice(zip(source, target, strict=True), last + 1)):
                if row in rows:
                    yield row, (korean[:-1].decode(), english[:-1].decode())


def _keep_lines(path: Path, kept: Flags) -> None:
    scratch = path.with_suffix(".kept")
    with path.open("rb") as lines, scratch.open("wb") as file:
        file.writelines(compress(lines, kept))
    os.replace(scratch, path)
