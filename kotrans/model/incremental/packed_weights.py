"""A decoder's weights laid out for the steps of a search, and the step itself.

Shape key: N rows (hypotheses), D rows whose states differ, E embedding width, H memory width, Q decoder state width,
G gates times Q, O width of the deep output, L width of what a state looks at, V target pieces.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.decoder import Decoder, DecoderState
from kotrans.model.kernels.products import FEW, PackedMatrix, QuantizedMatrix, few_filled_up

# Elements of a table of what each piece adds: 128 MiB in float32. A larger one would not pay for its room.
_LARGEST_TABLE = 2**25


class StateProducts(NamedTuple):
    """What of a step depends on s_{i-1} alone, and not on y_{i-1}."""

    inputs: Tensor  # (D, G+O) gates, then deep output before its tanh
    recurrent: Tensor | None  # (D, G) U h of a cell that does not just add it to W x
    lexical: Tensor | None  # (D, E) what a lexical model says

    def select(self, rows: Tensor) -> Self:
        """That of the given rows, in their order."""
        parts = {name: part.index_select(0, rows) for name, part in self._asdict().items() if part is not None}
        return self._replace(**parts)


class PackedDecoder:
    """A decoder's step in two parts: what hypotheses with one state share, and what their last pieces add."""

    def __init__(self, decoder: Decoder, embedding: Tensor, precision: torch.dtype) -> None:
        """embedding (V, E) of the target pieces; precision is what products are computed in."""
        cell, deep_output = decoder.cell, decoder.deep_output
        self._decoder = decoder
        self._normalises = isinstance(cell.input_norm, nn.LayerNorm)
        self._sums = cell.sums and not self._normalises
        self._gates = len(cell.weight_input)  # G
        sizes = [cell.hidden_size, decoder.embedding_size, cell.weight_input.size(1) - decoder.embedding_size]
        of_hidden, of_embedded, of_contexts = deep_output.weight.detach().split(sizes, dim=1)  # (O, Q), (O, E), (O, H)
        to_gates = cell.weight_input.detach().split(sizes[1:], dim=1)  # (G, E), (G, H)
        # With layer normalisation b is added after it.
        bias = torch.zeros_like(cell.bias) if self._normalises else cell.bias.detach()
        self._pieces = _Pieces(
            embedding.detach(), torch.cat([to_gates[0], of_embedded]), torch.cat([bias, deep_output.bias.detach()])
        )
        self._contexts = PackedLinear(torch.cat([to_gates[1], of_contexts]), precision)
        self._recurrent = PackedLinear(cell.weight_hidden.detach(), precision)
        self._hidden = PackedLinear(of_hidden, precision)

    def of_state(self, hidden: Tensor, looked: Tensor) -> StateProducts:
        """The share of s_{i-1}, hidden (D, Q), and of what it looked at (D, L)."""
        size = self._decoder.memory_size
        inputs = self._contexts(looked[:, :size])  # (D, G+O)
        lexical = None if self._decoder.lexical is None else looked[:, size:]  # (D, E)
        if not self._sums:
            return StateProducts(inputs, self._recurrent(hidden), lexical)
        self._recurrent.add_to(inputs[:, : self._gates], hidden)
        return StateProducts(inputs, None, lexical)

    def __call__(self, state: DecoderState, of_state: StateProducts, previous: Tensor) -> tuple[Tensor, DecoderState]:
        """What the softmax reads after the pieces previous (N,), (N, O) or with a lexical model (N, O+E), and the next
        state."""
        cell = self._decoder.cell
        inputs = self._pieces(previous).add_(of_state.inputs)  # (N, G+O)
        gates, output = inputs[:, : self._gates], inputs[:, self._gates :]  # (N, G), (N, O)
        recurrent = of_state.recurrent
        if self._normalises:
            gates = cell.input_norm(gates) + cell.bias
            recurrent = cell.hidden_norm(recurrent)
        first = cell.advance(gates, recurrent, state.layers[0])
        hidden, upper = self._decoder.climb(first.hidden.unsqueeze(1), state)  # (N, 1, Q)
        self._hidden.add_to(output, hidden.squeeze(1))
        output.tanh_()
        if of_state.lexical is not None:
            output = torch.cat([output, of_state.lexical], dim=1)  # (N, O+E)
        return output, DecoderState((first, *upper))


class PackedLinear:
    """x W^T for many x of few rows, from a copy of W laid out for it."""

    def __init__(self, weight: Tensor, precision: torch.dtype) -> None:
        """weight W (I, J); precision is what it is multiplied in, whatever x is."""
        self._precision = precision
        self._weight = QuantizedMatrix(weight) if precision == torch.int8 else PackedMatrix(weight.to(precision), FEW)

    def __call__(self, x: Tensor) -> Tensor:
        """(N, I) of x (N, J), in the precision of x."""
        if isinstance(self._weight, QuantizedMatrix):
            return self._weight.product(x).to(x.dtype)
        if not self._weight.in_blocks:
            return self._weight.product(x.to(self._precision)).to(x.dtype)
        # A kernel is made for each number of rows that there was, which takes longer than the product itself.
        return self._weight.product(few_filled_up(x, self._precision))[: len(x)].to(x.dtype)

    def add_to(self, sums: Tensor, x: Tensor) -> None:
        """Adds it in place to sums (N, I)."""
        weight = self._weight
        if isinstance(weight, PackedMatrix) and x.dtype == self._precision and not weight.in_blocks:
            weight.add_to(sums, x)
        else:
            sums.add_(self(x))


class _Pieces:
    """W E y + b of pieces y: looked up in a table, or computed where the vocabulary is too large for one."""

    def __init__(self, embedding: Tensor, weight: Tensor, bias: Tensor) -> None:
        """embedding (V, E), weight (G+O, E), bias (G+O,)."""
        self._bias: Tensor | None = bias
        self._weight = weight.t().contiguous()  # (E, G+O)
        self._table = embedding  # (V, E)
        if len(embedding) * len(weight) <= _LARGEST_TABLE:
            self._table, self._bias = functional.linear(embedding, weight, bias), None  # (V, G+O)

    def __call__(self, pieces: Tensor) -> Tensor:
        """(N, G+O) of pieces (N,), for the caller to write into."""
        rows = self._table.index_select(0, pieces)
        return rows if self._bias is None else torch.addmm(self._bias, rows, self._weight)
