"""A part of a text that is large enough to learn pieces from, always the same, read without the rest in memory."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from kotrans.errors import DataError
from kotrans.storage.files import stream_lines
from kotrans.text.normalization import normalize

_MEASURED = 20_000
_PART = 100_000


LONGEST_WORD = 32_000
"""Characters between blanks. Some versions of sentencepiece end the process at 65,536, and escapes may double them."""


class LineSample:
    """The lines of a file that are not blank, normalised; a fixed choice of them where there are too many.

    A line with a word longer than `LONGEST_WORD` is no text to learn pieces from, and is left out.
    """

    def __init__(self, path: Path, most_lines: int, most_bytes: int, seed: int, part: int = _PART) -> None:
        """`part` lines are chosen from at once. Raises DataError if the file is blank or not text."""
        self._path = path
        self._seed = seed
        self._part = part
        self._count = sum(1 for _ in stream_lines(path))
        if not any(map(normalize, stream_lines(path))):
            raise DataError(f"{path}: no text to train a tokenizer on; check the corpus")
        self._chosen = min(most_lines, self._count, max(1, self._count * most_bytes // path.stat().st_size))
        self.lines = 0
        """Lines that the last pass gave."""
        self.left_out = 0
        """Lines that it left out for a word that is too long."""
        self.measured: list[str] = []
        """At most so many of them as are enough for statistics, evenly spread."""

    def __iter__(self) -> Iterator[str]:
        step = -(-self._chosen // _MEASURED)
        self.lines, self.left_out, self.measured = 0, 0, []
        for line in filter(None, map(normalize, self._choice())):
            if len(line) > LONGEST_WORD and max(map(len, line.split(" "))) > LONGEST_WORD:
                self.left_out += 1
                continue
            if self.lines % step == 0:
                self.measured.append(line)
            self.lines += 1
            yield line

    def _choice(self) -> Iterator[str]:
        """Every line with the same chance, decided part by part: how many of the part's lines, and then which."""
        random = np.random.default_rng(self._seed)
        wanted, left, lines = self._chosen, self._count, stream_lines(self._path)
        while part := list(islice(lines, self._part)):
            chosen = int(random.hypergeometric(wanted, left - wanted, len(part)))
            wanted, left = wanted - chosen, left - len(part)
            yield from (part[i] for i in np.sort(random.choice(len(part), chosen, replace=False)))
