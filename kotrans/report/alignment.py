"""Which source word each target word looked at, from attention over pieces.

Shape key: T target pieces, S source pieces, N target words, M source words.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kotrans.translate import Translation

_END = "</s>"


def word_alignment(
    source_pieces: Sequence[str], target_pieces: Sequence[str], weights: Sequence[Sequence[float]] | Tensor
) -> list[tuple[int, int]]:
    """For each target word the source word that its pieces looked at most, as (source, target) from 0.

    weights (T, S). A word begins with "▁" and has what all of its pieces have together; end marks are no words. A
    target word whose every weight is on end marks has none.
    """
    source, target = _words(source_pieces), _words(target_pieces)
    by_words = np.zeros((max(target, default=-1) + 1, max(source, default=-1) + 1))  # (N, M)
    for row, word in zip(np.asarray(weights, dtype=np.float64), target, strict=True):
        if word >= 0:
            np.add.at(
                by_words[word], [m for m in source if m >= 0], [w for w, m in zip(row, source, strict=True) if m >= 0]
            )
    return [(int(row.argmax()), n) for n, row in enumerate(by_words) if row.size and row.max() > 0]


def pharaoh(translation: Translation) -> str:
    """The word alignment of the best hypothesis as `0-0 1-2`: source word, target word; empty if there is none."""
    best = translation.hypotheses[0]
    if best.weights is None:
        return ""
    pairs = word_alignment(translation.source_pieces, best.pieces, best.weights)
    return " ".join(f"{source}-{target}" for source, target in pairs)


def _words(pieces: Sequence[str]) -> list[int]:
    """The word of each piece, from 0; -1 for an end mark, after which a word begins."""
    words, word, begins = [], -1, True
    for piece in pieces:
        if piece == _END:
            words.append(-1)
            begins = True
            continue
        if begins or piece.startswith("▁"):
            word += 1
        words.append(word)
        begins = False
    return words
