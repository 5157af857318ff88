"""One step of a recurrent cell: LSTM, GRU and the plain RNN, as equations.

Shape key: B sentences, I input width, H state width, G number of gates (LSTM 4, GRU 3, RNN 1).
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.kernels.products import linear


class CellState(NamedTuple):
    """What a cell carries from step to step."""

    hidden: Tensor  # (B, H)
    long_term: Tensor | None  # (B, H) the LSTM's C; the other cells have none

    def select(self, rows: Tensor) -> Self:
        """The state of the given rows, in their order."""
        long_term = None if self.long_term is None else self.long_term.index_select(0, rows)
        return self._replace(hidden=self.hidden.index_select(0, rows), long_term=long_term)

    def join(self, other: Self) -> Self:
        """The states of both."""
        long_term = self.long_term
        if long_term is not None and other.long_term is not None:
            long_term = torch.cat([long_term, other.long_term])
        return self._replace(hidden=torch.cat([self.hidden, other.hidden]), long_term=long_term)

    def to(self, dtype: torch.dtype) -> Self:
        """The same in another precision."""
        long_term = None if self.long_term is None else self.long_term.to(dtype)
        return self._replace(hidden=self.hidden.to(dtype), long_term=long_term)


class Cell(nn.Module):
    """gates = W x + U h + b, then what the subclass makes of them.

    `project` is W x for some columns of W, which a caller may compute for all steps at once; `forward` does the rest.
    With layer normalisation (Ba et al. 2016, arXiv 1607.06450, eq. 20) W x and U h are normalised each before the sum.
    """

    gates: int
    sums = True  # only the sum of W x + b and U h counts

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_input = nn.Parameter(torch.empty(self.gates * hidden_size, input_size))  # W
        self.weight_hidden = nn.Parameter(torch.empty(self.gates * hidden_size, hidden_size))  # U
        self.bias = nn.Parameter(torch.zeros(self.gates * hidden_size))  # b
        self.input_norm = nn.LayerNorm(self.gates * hidden_size, bias=False) if layer_norm else nn.Identity()
        self.hidden_norm = nn.LayerNorm(self.gates * hidden_size, bias=False) if layer_norm else nn.Identity()

    def initial(self, hidden: Tensor) -> CellState:
        """The state that starts from hidden (B, H)."""
        return CellState(hidden, None)

    def project(self, inputs: Tensor, first_column: int = 0) -> Tensor:
        """The share (…, G*H) that inputs (…, n) have in W x, n columns of W from `first_column` on."""
        columns = self.weight_input[:, first_column : first_column + inputs.size(-1)]
        return functional.linear(inputs, columns)

    def project_all(self, inputs: Tensor) -> Tensor:
        """What all steps start from, (…, G*H) of inputs (…, n): W x for the first n columns of W, and b.

        With layer normalisation b is added after it, step by step.
        """
        bias = self.bias if isinstance(self.input_norm, nn.Identity) else None
        return linear(inputs, self.weight_input[:, : inputs.size(-1)], bias)

    def forward(self, projected: Tensor, state: CellState, dropout_mask: Tensor | None = None) -> CellState:
        """The next state from projected (B, G*H) = W x.

        dropout_mask (B, H) multiplies h where it enters U h: the same mask at each step of a sentence is variational
        dropout (Gal and Ghahramani 2016, arXiv 1512.05287).
        """
        hidden = state.hidden if dropout_mask is None else state.hidden * dropout_mask
        recurrent = self.hidden_norm(functional.linear(hidden, self.weight_hidden))  # (B, G*H)
        return self.advance(self.input_norm(projected) + self.bias, recurrent, state)

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        """The next state from W x + b and U h, each (B, G*H); a cell that sums takes the sum and None as well."""
        raise NotImplementedError


class LSTMCell(Cell):
    """Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    i, f, g, o = W x + U h + b;  C' = sigma(f) C + sigma(i) tanh(g);  h' = sigma(o) tanh(C')
    """

    gates = 4

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__(input_size, hidden_size, layer_norm=layer_norm)
        self.long_term_norm = nn.LayerNorm(hidden_size) if layer_norm else nn.Identity()

    def initial(self, hidden: Tensor) -> CellState:
        return CellState(hidden, torch.zeros_like(hidden))

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        assert state.long_term is not None
        gates = projected if recurrent is None else projected + recurrent  # (B, 4*H)
        i, f, g, o = gates.chunk(4, dim=-1)  # (B, H) each
        long_term = torch.sigmoid(f) * state.long_term + torch.sigmoid(i) * torch.tanh(g)  # (B, H)
        hidden = torch.sigmoid(o) * torch.tanh(self.long_term_norm(long_term))  # (B, H)
        return CellState(hidden, long_term)


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the product, as fused kernels have it.

    r, z = sigma(W x + U h + b);  n = tanh(W x + b + r (U h + b_n));  h' = (1 - z) n + z h
    """

    gates = 3
    sums = False

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__(input_size, hidden_size, layer_norm=layer_norm)
        self.bias_new = nn.Parameter(torch.zeros(hidden_size))  # b_n

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        assert recurrent is not None
        input_r, input_z, input_n = projected.chunk(3, dim=-1)  # (B, H) each
        hidden_r, hidden_z, hidden_n = recurrent.chunk(3, dim=-1)  # (B, H) each
        reset = torch.sigmoid(input_r + hidden_r)
        update = torch.sigmoid(input_z + hidden_z)
        new = torch.tanh(input_n + reset * (hidden_n + self.bias_new))
        return CellState(torch.lerp(new, state.hidden.to(new.dtype), update.to(new.dtype)), None)


class RNNCell(Cell):
    """h' = tanh(W x + U h + b)  (Elman 1990)."""

    gates = 1

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        return CellState(torch.tanh(projected if recurrent is None else projected + recurrent), None)


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}
