"""How many floating-point operations the model's equations take, by a formula over the widths of its matrices."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from kotrans.model.attention import AdditiveAttention, Attention, LocationAttention
from kotrans.model.seq2seq import Seq2Seq

# Backward, each product X W of forward gives two of its size: dX = dY Wᵀ and dW = Xᵀ dY.
_BACKWARD = 2


class FlopRates(NamedTuple):
    """Operations of the forward pass, by what they grow with; EOS counts as a piece.

    Only matrix products are counted, a multiplication and an addition for each number of a matrix and each row that
    goes through it: 2 m n for a matrix (m, n). With H, Q, A as in the decoder:

    | for each | operations of |
    | --- | --- |
    | source piece | the matrices of the encoder, and those of the attention's keys |
    | target piece | those of the decoder's cells, outputs and softmax, of the attention's query or positions |
    | source and target piece of a pair | the context, 2 H, energy, 2 A, or dot product, 2 Q, a lexical model's 2 E |
    | pair | the matrices that make s_0 |

    Padding, element-wise functions and embeddings (which are looked up) count nothing, and neither does a product that
    an implementation chooses to compute again.
    """

    source_piece: int
    target_piece: int
    cross: int
    pair: int

    def forward(self, source_lengths: npt.ArrayLike, target_lengths: npt.ArrayLike) -> int:
        """Of pairs with these lengths in pieces (B,), EOS counted."""
        source, target = np.asarray(source_lengths, np.int64), np.asarray(target_lengths, np.int64)
        rows = source.sum(), target.sum(), (source * target).sum(), len(source)
        return int(np.dot(self, rows))

    def training(self, source_lengths: npt.ArrayLike, target_lengths: npt.ArrayLike) -> int:
        """Of the forward pass and the backward pass, which takes twice as many."""
        return (1 + _BACKWARD) * self.forward(source_lengths, target_lengths)


def flop_rates(model: Seq2Seq) -> FlopRates:
    """What the matrices of a model cost."""
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
    """For a source piece, a target piece, and both."""
    match attention:
        case AdditiveAttention():
            return _products([attention.key]), _products([attention.query]), _products([attention.energy])
        case LocationAttention():
            return 0, _products([attention.position]), 0
    return _products([attention]), 0, 2 * query_size  # keys, and a dot product


def _products(modules: Iterable[nn.Module]) -> int:
    """Operations of one row that goes once through every matrix of the modules."""
    return sum(2 * weight.numel() for module in modules for weight in module.parameters() if weight.dim() == 2)
