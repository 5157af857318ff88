"""The weights of a model by their role, checked against its config.

Shape key: I input width, H state width of a cell, G number of its gates, V pieces, E embedding width, O softmax input.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kotrans.config.schema import Config
from kotrans.errors import CheckpointError

Floats = npt.NDArray[np.float32]
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


class CellNorms(NamedTuple):
    """Gains and biases of a cell's layer normalisation."""

    input: Floats  # (G*H,)
    hidden: Floats  # (G*H,)
    long_term: tuple[Floats, Floats] | None  # (H,) each; of an LSTM


class CellWeights(NamedTuple):
    """The weights of a recurrent cell; gates in the order i f g o (LSTM), r z n (GRU)."""

    kind: str
    input: Floats  # (G*H, I) W
    hidden: Floats  # (G*H, H) U
    bias: Floats  # (G*H,) b
    bias_new: Floats | None  # (H,) b_hn of a GRU
    norms: CellNorms | None

    @property
    def size(self) -> int:
        """H."""
        return self.hidden.shape[1]


class ModelWeights:
    """Reads the weights of a checkpoint; each weight is used once, except for tied ones."""

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]], config: Config, where: str | Path) -> None:
        """where: the checkpoint, for messages."""
        self.config = config
        self._weights = weights
        self._where = where
        self._used: set[str] = set()

    def matrix(self, name: str, *shape: int) -> Floats:
        """Returns a weight. Raises CheckpointError if it is missing or has another shape."""
        if name not in self._weights:
            raise self._foreign(name)
        array = self._weights[name]
        if array.shape != shape:
            raise CheckpointError(f"{self._where}: {name} has shape {array.shape}, but {shape} by the config")
        self._used.add(name)
        return array

    def check_all_used(self) -> None:
        """Raises CheckpointError if there are weights that the config has no use for."""
        if unused := sorted(self._weights.keys() - self._used):
            raise self._foreign(unused[0])

    def embedding(self, side: str, pieces: int) -> Floats:
        """Returns the embedding (V, E) of the "source" or "target" pieces."""
        tied = self.config.embeddings.tie == "all"
        return self.matrix(f"{'source' if tied else side}_embedding.weight", pieces, self.config.embeddings.size)

    def softmax(self, pieces: int) -> tuple[Floats, Floats]:
        """Returns weight (V, O) and bias (V,) of the softmax layer."""
        size, lexical = self.config.embeddings.size, self.config.decoder.lexical
        layer = "softmax.deep" if lexical else "softmax"
        tied = self.config.embeddings.tie != "none"
        deep = self.embedding("target", pieces) if tied else self.matrix(f"{layer}.weight", pieces, size)
        bias = self.matrix(f"{layer}.bias", pieces)
        if not lexical:
            return deep, bias
        return np.concatenate([deep, self.matrix("softmax.lexical.weight", pieces, size)], axis=1), bias

    def encoder_cells(self, layer: int) -> list[CellWeights]:
        """Returns the cells of an encoder layer: forward, and backward if it is bidirectional."""
        encoder = self.config.encoder
        width = self.config.embeddings.size if layer == 0 else self.config.memory_size
        return [
            self._recurrence(f"encoder.layers.{layer}.{direction}", encoder.cell, width, encoder.hidden_size,
                             layer_norm=encoder.layer_norm)
            for direction in range(2 if encoder.bidirectional else 1)
        ]  # fmt: skip

    def decoder_cells(self) -> list[CellWeights]:
        """Returns the cells of the decoder's layers; the first reads [y_{i-1} ; c_i]."""
        decoder = self.config.decoder
        width, size = self.config.embeddings.size + self.config.memory_size, decoder.hidden_size
        first = self._cell("decoder.cell", decoder.cell, width, size, layer_norm=decoder.layer_norm)
        return [first] + [
            self._recurrence(f"decoder.upper.{i}", decoder.cell, size, size, layer_norm=decoder.layer_norm)
            for i in range(decoder.layers - 1)
        ]

    def _recurrence(self, name: str, kind: str, width: int, size: int, *, layer_norm: bool) -> CellWeights:
        """Reads a `LoopedRecurrence` or a `LibraryRecurrence`."""
        if f"{name}.kernel.weight_ih_l0" not in self._weights:
            return self._cell(f"{name}.cell", kind, width, size, layer_norm=layer_norm)
        gates = GATES[kind] * size
        weight = self.matrix(f"{name}.kernel.weight_ih_l0", gates, width)
        hidden = self.matrix(f"{name}.kernel.weight_hh_l0", gates, size)
        bias, bias_hidden = (self.matrix(f"{name}.kernel.bias_{each}_l0", gates) for each in ("ih", "hh"))
        if kind != "gru":
            return CellWeights(kind, weight, hidden, bias + bias_hidden, None, None)
        added = np.concatenate([bias_hidden[: 2 * size], np.zeros(size, np.float32)])
        return CellWeights(kind, weight, hidden, bias + added, bias_hidden[2 * size :], None)

    def _cell(self, name: str, kind: str, width: int, size: int, *, layer_norm: bool) -> CellWeights:
        gates = GATES[kind] * size
        norms = None
        if layer_norm:
            long_term = None
            if kind == "lstm":
                norm = f"{name}.long_term_norm"
                long_term = self.matrix(f"{norm}.weight", size), self.matrix(f"{norm}.bias", size)
            norms = CellNorms(
                self.matrix(f"{name}.input_norm.weight", gates), self.matrix(f"{name}.hidden_norm.weight", gates),
                long_term,
            )  # fmt: skip
        return CellWeights(
            kind, self.matrix(f"{name}.weight_input", gates, width), self.matrix(f"{name}.weight_hidden", gates, size),
            self.matrix(f"{name}.bias", gates), self.matrix(f"{name}.bias_new", size) if kind == "gru" else None, norms,
        )  # fmt: skip

    def _foreign(self, name: str) -> CheckpointError:
        return CheckpointError(
            f"{self._where}: the weights do not belong to the model that the config describes ({name})"
        )
