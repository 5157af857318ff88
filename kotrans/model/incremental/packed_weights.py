"""The decoder step with weights packed for the few rows of a search.

Shape key: N rows (hypotheses), D distinct decoder states, E embedding width, H memory width, Q decoder state width,
G width of the gates, O width of the deep output, L width of what a step reads from the source, V target pieces, J input
width and I output width of any matrix.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.decoder import Decoder, DecoderState
from kotrans.model.kernels.products import FEW_ROWS, PackedMatrix, QuantizedMatrix, pad_few_rows

LARGEST_TABLE = 2**25
"""Most elements of a table of the products of all embeddings: 128 MiB in float32."""


class StateProducts(NamedTuple):
    """The part of a step that depends on s_{i-1} alone, not on y_{i-1}."""

    inputs: Tensor  # (D, G+O) gates, followed by the deep output before tanh
    recurrent: Tensor | None  # (D, G) U s_{i-1}, unless it is included in the gates
    lexical: Tensor | None  # (D, E) lexical vectors

    def select(self, rows: Tensor) -> Self:
        """Returns the products of `rows`, in that order."""
        parts = {name: part.index_select(0, rows) for name, part in self._asdict().items() if part is not None}
        return self._replace(**parts)


class PackedDecoder:
    """The decoder step in two parts: products that rows with one state share, and the share of their last pieces."""

    def __init__(
        self, decoder: Decoder, embedding: Tensor, precision: torch.dtype, *, largest_table: int = LARGEST_TABLE
    ) -> None:
        """embedding (V, E) of the target pieces; precision is the dtype of the products."""
        cell, deep_output = decoder.cell, decoder.deep_output
        self._decoder = decoder
        self._normalises = isinstance(cell.input_norm, nn.LayerNorm)
        self._sums = cell.sums and not self._normalises
        self._gates = len(cell.weight_input)  # G
        sizes = [cell.hidden_size, decoder.embedding_size, cell.weight_input.size(1) - decoder.embedding_size]
        of_hidden, of_embedded, of_contexts = deep_output.weight.detach().split(sizes, dim=1)  # (O, Q), (O, E), (O, H)
        gates_of_embedded, gates_of_contexts = cell.weight_input.detach().split(sizes[1:], dim=1)  # (G, E), (G, H)
        # With layer normalisation b is added after it.
        bias = torch.zeros_like(cell.bias) if self._normalises else cell.bias.detach()  # (G,)
        self._pieces = _PieceProducts(
            embedding.detach(), torch.cat([gates_of_embedded, of_embedded]),
            torch.cat([bias, deep_output.bias.detach()]), largest_table,
        )  # fmt: skip
        self._contexts = PackedLinear(torch.cat([gates_of_contexts, of_contexts]), precision)
        self._recurrent = PackedLinear(cell.weight_hidden.detach(), precision)
        self._hidden = PackedLinear(of_hidden, precision)

    def state_products(self, hidden: Tensor, read: Tensor) -> StateProducts:
        """Returns the share of s_{i-1} in hidden (D, Q), and of what it reads from the source (D, L)."""
        size = self._decoder.memory_size
        inputs = self._contexts(read[:, :size])  # (D, G+O)
        lexical = None if self._decoder.lexical is None else read[:, size:]  # (D, E)
        if not self._sums:
            return StateProducts(inputs, self._recurrent(hidden), lexical)
        self._recurrent.add_to(inputs[:, : self._gates], hidden)
        return StateProducts(inputs, None, lexical)

    def __call__(self, state: DecoderState, products: StateProducts, previous: Tensor) -> tuple[Tensor, DecoderState]:
        """Returns the softmax input (N, O), or (N, O+E) with a lexical model, and the next state.

        products are those of `state`, previous (N,) the last pieces.
        """
        cell = self._decoder.cell
        inputs = self._pieces(previous).add_(products.inputs)  # (N, G+O)
        gates, output = inputs[:, : self._gates], inputs[:, self._gates :]  # (N, G), (N, O)
        recurrent = products.recurrent
        if self._normalises:
            gates = cell.input_norm(gates) + cell.bias
            recurrent = cell.hidden_norm(recurrent)
        first = cell.advance(gates, recurrent, state.layers[0])
        hidden, upper = self._decoder.run_upper(first.hidden.unsqueeze(1), state)  # (N, 1, Q)
        self._hidden.add_to(output, hidden.squeeze(1))
        output.tanh_()
        if products.lexical is not None:
            output = torch.cat([output, products.lexical], dim=1)  # (N, O+E)
        return output, DecoderState((first, *upper))


class PackedLinear:
    """x W^T for many x of few rows, from a packed copy of W."""

    def __init__(self, weight: Tensor, precision: torch.dtype) -> None:
        """weight W (I, J); precision is the dtype of the product, whatever the dtype of x."""
        self._precision = precision
        self._weight = (
            QuantizedMatrix(weight) if precision == torch.int8 else PackedMatrix(weight.to(precision), FEW_ROWS)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Returns (N, I) of x (N, J), in the dtype of x."""
        if isinstance(self._weight, QuantizedMatrix):
            return self._weight.product(x).to(x.dtype)
        if not self._weight.in_blocks:
            return self._weight.product(x.to(self._precision)).to(x.dtype)
        # oneDNN compiles a kernel for each number of rows, which takes longer than the product.
        return self._weight.product(pad_few_rows(x, self._precision))[: len(x)].to(x.dtype)

    def add_to(self, sums: Tensor, x: Tensor) -> None:
        """Adds the product in place to sums (N, I)."""
        weight = self._weight
        if isinstance(weight, PackedMatrix) and x.dtype == self._precision and not weight.in_blocks:
            weight.add_to(sums, x)
        else:
            sums.add_(self(x))


class _PieceProducts:
    """W E y + b of pieces y: looked up in a table, or computed if the table would be too large."""

    def __init__(self, embedding: Tensor, weight: Tensor, bias: Tensor, largest_table: int) -> None:
        """embedding (V, E), weight (G+O, E), bias (G+O,)."""
        self._bias: Tensor | None = bias
        self._weight = weight.t().contiguous()  # (E, G+O)
        self._table = embedding  # (V, E)
        if len(embedding) * len(weight) <= largest_table:
            self._table, self._bias = functional.linear(embedding, weight, bias), None  # (V, G+O)

    def __call__(self, pieces: Tensor) -> Tensor:
        """Returns a new tensor (N, G+O) for pieces (N,)."""
        rows = self._table.index_select(0, pieces)
        return rows if self._bias is None else torch.addmm(self._bias, rows, self._weight)
