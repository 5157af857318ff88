"""The rows of the softmax layers that a batch of sentences needs, by the shortlist of each sentence.

Shape key: B sentences, W pieces of the batch, O width of the softmax input, V target pieces.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from kotrans.engine.decoder_graph import SOFTMAX, SoftmaxWeight
from kotrans.engine.model_weights import Floats

Ints = npt.NDArray[np.int64]


class ListedSoftmax(NamedTuple):
    """Inputs of a step graph with a shortlist.

    A piece that only other sentences of the batch list has probability 0, so that they never change a translation.
    """

    lists: tuple[Ints, ...]  # of B sentences: pieces in ascending order
    pieces: Ints  # (W,) their union
    inputs: Mapping[str, npt.NDArray[Any]]  # of the step graph, except for the mask
    mask: Floats  # (B, W) 0, and -inf for pieces that a sentence does not list

    @classmethod
    def of(cls, lists: Sequence[Ints], layers: Sequence[SoftmaxWeight]) -> Self:
        """Takes the rows of each model's softmax layer."""
        pieces = np.unique(np.concatenate(lists)) if lists else np.zeros(0, np.int64)
        mask = np.full((len(lists), len(pieces)), -np.inf, np.float32)
        for row, each in zip(mask, lists, strict=True):
            row[np.searchsorted(pieces, each)] = 0
        inputs: dict[str, npt.NDArray[Any]] = {}
        for m, layer in enumerate(layers):
            name = f"m{m}/{SOFTMAX}_"
            rows = layer.weight[pieces]  # (W, O)
            inputs[f"{name}bias"] = layer.bias[pieces]
            inputs[f"{name}weight"] = rows if layer.scales is None else np.ascontiguousarray(rows.T)
            if layer.scales is not None:
                inputs[f"{name}scales"] = layer.scales[pieces]
        return cls(tuple(lists), pieces, inputs, mask)

    def select(self, sentences: Ints) -> Self:
        """Returns the inputs of the given sentences; the pieces stay those of all."""
        return self._replace(lists=tuple(self.lists[i] for i in sentences), mask=self.mask[sentences])
