"""Number of floating-point operations of a model, from the shapes of its matrices."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from kotrans.model.attention import AdditiveAttention, Attention, LocationAttention
from kotrans.model.seq2seq import Seq2Seq

# The backward pass of Y = X W has two products of the same size: dX = dY Wᵀ and dW = Xᵀ dY.
_BACKWARD = 2


class FlopRates(NamedTuple):
    """Operations of the forward pass per source piece, target piece, pair of both, and sentence pair.

    Counts matrix products only, one multiplication and one addition per matrix element and row: 2 m n per row for a
    matrix (m, n). EOS is a piece. With H, Q, A, E as in the decoder:

    | per | operations of |
    | --- | --- |
    | source piece | encoder, attention keys |
    | target piece | decoder cells, deep output, softmax, attention query or positions |
    | source piece and target piece | context, 2 H; energy, 2 A, or dot product, 2 Q; lexical model, 2 E |
    | sentence pair | matrices of s_0 |

    Padding, element-wise functions, embedding lookups and recomputation in the backward pass are not counted.
    """

    source_piece: int
    target_piece: int
    cross: int
    pair: int

    def forward(self, source_lengths: npt.ArrayLike, target_lengths: npt.ArrayLike) -> int:
        """Returns the operations for sentence pairs of these lengths (B,) in pieces, with EOS."""
        source, target = np.asarray(source_lengths, np.int64), np.asarray(target_lengths, np.int64)
        counts = source.sum(), target.sum(), (source * target).sum(), len(source)
        return int(np.dot(self, counts))

    def training(self, source_lengths: npt.ArrayLike, target_lengths: npt.ArrayLike) -> int:
        """Returns the operations of the forward and backward pass."""
        return (1 + _BACKWARD) * self.forward(source_lengths, target_lengths)


def flop_rates(model: Seq2Seq) -> FlopRates:
    """Returns the operations of a model."""
    decoder, attention = model.decoder, model.decoder.attention
    above = [decoder.upper, decoder.deep_output, model.softmax]
    source, target, cross = (0, 0, 0) if attention is None else _score(attention, decoder.cell.hidden_size)
    if decoder.lexical is not None:
        above.append(decoder.lexical)
        cross += 2 * decoder.lexical.hidden.in_features
    return FlopRates(
        source_piece=_products([model.encoder]) + source,
        target_piece=_products([decoder.cell, *above]) + target,
        cross=cross + (0 if attention is None else 2 * decoder.memory_size),
        pair=_products([decoder.bridges]),
    )


def _score(attention: Attention, query_size: int) -> tuple[int, int, int]:
    """Returns the operations of the score per source piece, target piece, and pair of both."""
    match attention:
        case AdditiveAttention():
            return _products([attention.key]), _products([attention.query]), _products([attention.energy])
        case LocationAttention():
            return 0, _products([attention.position]), 0
    return _products([attention]), 0, 2 * query_size  # keys, and a dot product


def _products(modules: Iterable[nn.Module]) -> int:
    """Returns the operations of one row that is multiplied by every matrix of the modules."""
    return sum(2 * weight.numel() for module in modules for weight in module.parameters() if weight.dim() == 2)
