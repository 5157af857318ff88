"""Which source word each target word looked at, from attention over pieces.

Shape key: T target pieces, S source pieces.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from kotrans.text.subwords import END, word_spans, word_weights
from kotrans.translation.postprocess import Translation


def word_alignment(
    source_pieces: Sequence[str], target_pieces: Sequence[str], weights: Sequence[Sequence[float]] | Tensor
) -> list[tuple[int, int]]:
    """For each target word the source word that its pieces looked at most, as (source, target) from 0.

    weights (T, S). End marks are no words; a target word whose every weight is on them has no partner.
    """
    source, target = (
        [span for span in word_spans(pieces) if pieces[span.start] != END] for pieces in (source_pieces, target_pieces)
    )
    if not source or not target:
        return []
    by_words = word_weights(torch.as_tensor(weights, dtype=torch.float32), target, source)
    return [(int(row.argmax()), number) for number, row in enumerate(by_words) if row.max() > 0]


def pharaoh(translation: Translation) -> str:
    """The word alignment of the best hypothesis as `0-0 1-2`: source word, target word; empty if there is none."""
    best = translation.hypotheses[0]
    weights = best.weights
    if weights is None:
        return ""
    pairs = word_alignment(translation.source_pieces, best.pieces, weights)
    return " ".join(f"{source}-{target}" for source, target in pairs)
