"""Attention weights between words, and word alignments, from the weights between pieces.

Shape key: T target pieces, S source pieces, U target words, R source words.
"""

from collections.abc import Sequence

import numpy as np

from kotrans.engine.stepper import Weights
from kotrans.text.subwords import END, word_spans


def word_weights(weights: Weights, target: Sequence[range], source: Sequence[range]) -> Weights:
    """Returns weights (U, R) from weights (T, S): summed over the pieces of a source word, averaged over a target word.

    target, source: the pieces of each word.
    """
    columns = np.stack([weights[:, span.start : span.stop].sum(1) for span in source], 1)  # (T, R)
    return np.stack([columns[span.start : span.stop].mean(0) for span in target])  # (U, R)


def word_alignment(
    source_pieces: Sequence[str], target_pieces: Sequence[str], weights: Sequence[Sequence[float]] | Weights
) -> list[tuple[int, int]]:
    """Aligns each target word to the source word with the highest attention weight, as (source, target) from 0.

    weights (T, S). "</s>" is not a word; a target word whose weights on all source words are 0 is not aligned.
    """
    source, target = (
        [span for span in word_spans(pieces) if pieces[span.start] != END] for pieces in (source_pieces, target_pieces)
    )
    if not source or not target:
        return []
    by_words = word_weights(np.asarray(weights, np.float32), target, source)
    return [(int(row.argmax()), number) for number, row in enumerate(by_words) if row.max() > 0]
