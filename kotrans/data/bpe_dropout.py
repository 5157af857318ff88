"""Random segmentations of a text: BPE-dropout (Provilkov et al. 2020, arXiv 1910.13267, algorithm 1).

Implemented here because sampling in sentencepiece 0.2.2 and later is not reproducible across processes.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random

_SPACE = "▁"  # begins a word; pieces do not cross word boundaries


class BpeDropout:
    """Merges the characters of words into pieces, and skips merges at random."""

    def __init__(self, scores: dict[str, float]) -> None:
        """scores: of the pieces that merges combine or produce; higher scores were learned earlier."""
        self._scores = scores

    def draw(self, pieces: Sequence[str], strength: float, random: Random) -> list[str]:
        """Returns other pieces of the same text: in each step, every merge is skipped with probability `strength`.

        Pieces without a score (bytes, special pieces) are unchanged.
        """
        return [piece for word in _words(pieces) for piece in self._merge(self._characters(word), strength, random)]

    def _characters(self, word: Sequence[str]) -> list[str]:
        return [part for piece in word for part in (piece if piece in self._scores else (piece,))]

    def _merge(self, symbols: list[str], strength: float, random: Random) -> list[str]:
        scores = self._scores
        while True:
            best, at = -float("inf"), -1
            for i, (left, right) in enumerate(pairwise(symbols)):
                score = scores.get(left + right)
                if score is not None and score > best and random.random() >= strength:
                    best, at = score, i
            if at < 0:
                return symbols
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]


def _words(pieces: Sequence[str]) -> Iterator[list[str]]:
    word: list[str] = []
    for piece in pieces:
        if piece.startswith(_SPACE) and word:
            yield word
            word = []
        word.append(piece)
    yield word
