"""How unlike the training text a line is, from how often training had its pieces."""

import base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Self

import numpy as np

from kotrans.config.sections import Section
from kotrans.text.normalization import normalize

# Share of the training lines that pass. The others are the odd ones that every corpus has.
_PASSING = 0.999
_STEP = 0.1  # nats; a cost is stored as a number of these in one byte


class Familiarity(Section):
    """The cost of each piece, and the highest that a line of the training text has, but for the oddest ones.

    The cost of a line is what its pieces cost in a unigram model of the training text, for each character. It is high
    if the pieces are rare, and if the words are in many pieces because training never had them.
    """

    costs: str
    """-ln p of each piece in tenths, a byte each, in base64."""
    limit: float
    """A line that costs more is unlike the training text."""

    @classmethod
    def measure(cls, lines: Sequence[str], ids: Sequence[Sequence[int]], vocabulary_size: int) -> Self:
        """From lines of the training text, and the ids of each."""
        counts = np.bincount([i for line in ids for i in line], minlength=vocabulary_size)  # (V,)
        smoothed = counts + 0.5
        steps = np.rint(-np.log(smoothed / smoothed.sum()) / _STEP).clip(0, 255).astype(np.uint8)  # (V,)
        costs = base64.b64encode(steps.tobytes()).decode("ascii")
        without = cls(costs=costs, limit=0)
        each = [without.cost(*line) for line in zip(lines, ids, strict=True)]
        return cls(costs=costs, limit=float(np.quantile(each, _PASSING)))

    def cost(self, line: str, ids: Sequence[int]) -> float:
        """Of a line and its ids, for each character that is no space, in nats; 0 of a blank line."""
        steps, characters = _decoded(self.costs), len(normalize(line).replace(" ", ""))
        return sum(steps[i] for i in ids) * _STEP / characters if characters else 0.0

    def is_unlike(self, line: str, ids: Sequence[int]) -> bool:
        """Whether the line is unlike the training text."""
        return self.cost(line, ids) > self.limit


@lru_cache(maxsize=8)
def _decoded(costs: str) -> bytes:
    return base64.b64decode(costs)
