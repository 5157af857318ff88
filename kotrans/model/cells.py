"""Recurrent cells, one step at a time: LSTM, GRU and the plain RNN.

Shape key: B sentences, I input width, H state width, G number of gates (LSTM 4, GRU 3, RNN 1).
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.kernels.products import linear


class CellState(NamedTuple):
    """The state of a cell between two steps."""

    hidden: Tensor  # (B, H)
    long_term: Tensor | None  # (B, H) C of an LSTM; None for the other cells

    def select(self, rows: Tensor) -> Self:
        """Returns the states of `rows`, in that order."""
        long_term = None if self.long_term is None else self.long_term.index_select(0, rows)
        return self._replace(hidden=self.hidden.index_select(0, rows), long_term=long_term)

    def join(self, other: Self) -> Self:
        """Returns the rows of both states, those of `other` last."""
        long_term = self.long_term
        if long_term is not None and other.long_term is not None:
            long_term = torch.cat([long_term, other.long_term])
        return self._replace(hidden=torch.cat([self.hidden, other.hidden]), long_term=long_term)

    def to(self, dtype: torch.dtype) -> Self:
        """Returns the state in another dtype."""
        long_term = None if self.long_term is None else self.long_term.to(dtype)
        return self._replace(hidden=self.hidden.to(dtype), long_term=long_term)


class Cell(nn.Module):
    """Base class: computes W x_t and U h_{t-1} for all gates at once; subclasses compute the next state from them.

    Callers compute W x_t, which does not depend on the last state, with `project`, for many steps at once.
    With layer normalisation (Ba et al. 2016, arXiv 1607.06450, eq. 20) W x_t and U h_{t-1} are normalised separately
    before they are added.
    """

    gates: int
    sums = True  # whether `advance` reads only the sum of W x + b and U h

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_input = nn.Parameter(torch.empty(self.gates * hidden_size, input_size))  # W
        self.weight_hidden = nn.Parameter(torch.empty(self.gates * hidden_size, hidden_size))  # U
        self.bias = nn.Parameter(torch.zeros(self.gates * hidden_size))  # b
        self.input_norm = _norm(self.gates * hidden_size, layer_norm, bias=False)
        self.hidden_norm = _norm(self.gates * hidden_size, layer_norm, bias=False)

    def initial(self, hidden: Tensor) -> CellState:
        """Returns the state with h_0 = hidden (B, H)."""
        return CellState(hidden, None)

    def project(self, inputs: Tensor) -> Tensor:
        """Returns W x (…, G*H) of inputs (…, n), using the first n columns of W."""
        return functional.linear(inputs, self.weight_input[:, : inputs.size(-1)])

    def project_all(self, inputs: Tensor) -> Tensor:
        """Returns W x + b (…, G*H) of inputs (…, n) for all steps at once, as `recur` and `attend` read it.

        Uses the first n columns of W. With layer normalisation it returns W x: b is added after the normalisation.
        """
        bias = self.bias if isinstance(self.input_norm, nn.Identity) else None
        return linear(inputs, self.weight_input[:, : inputs.size(-1)], bias)

    def forward(self, projected: Tensor, state: CellState, dropout_mask: Tensor | None = None) -> CellState:
        """Returns the next state from projected (B, G*H) = W x.

        dropout_mask (B, H) multiplies h in U h: the same mask for all steps of a sentence is variational dropout
        (Gal and Ghahramani 2016, arXiv 1512.05287).
        """
        hidden = state.hidden if dropout_mask is None else state.hidden * dropout_mask
        recurrent = self.hidden_norm(functional.linear(hidden, self.weight_hidden))  # (B, G*H)
        return self.advance(self.input_norm(projected) + self.bias, recurrent, state)

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        """Returns the next state from W x + b and U h, each (B, G*H).

        Cells with `sums` also accept the sum of both as `projected` and None as `recurrent`.
        """
        raise NotImplementedError


class LSTMCell(Cell):
    """Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    Equations, with · the element-wise product:
        input gate       i_t = σ(W_xi x_t + W_hi h_{t-1} + b_i)
        forget gate      f_t = σ(W_xf x_t + W_hf h_{t-1} + b_f)
        candidate        g_t = tanh(W_xg x_t + W_hg h_{t-1} + b_g)
        output gate      o_t = σ(W_xo x_t + W_ho h_{t-1} + b_o)
        cell (long term) C_t = f_t · C_{t-1} + i_t · g_t
        hidden (short)   h_t = o_t · tanh(C_t)

    With layer normalisation tanh reads the normalised C_t.
    """

    gates = 4

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__(input_size, hidden_size, layer_norm=layer_norm)
        self.long_term_norm = _norm(hidden_size, layer_norm, bias=True)

    def initial(self, hidden: Tensor) -> CellState:
        return CellState(hidden, torch.zeros_like(hidden))

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        assert state.long_term is not None
        gates = projected if recurrent is None else projected + recurrent  # (B, 4*H)
        i, f, g, o = gates.chunk(4, dim=-1)  # (B, H) each
        long_term = torch.sigmoid(f) * state.long_term + torch.sigmoid(i) * torch.tanh(g)  # (B, H) C_t
        hidden = torch.sigmoid(o) * torch.tanh(self.long_term_norm(long_term))  # (B, H) h_t
        return CellState(hidden, long_term)


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the product, as in fused kernels.

    Equations, with · the element-wise product:
        reset gate   r_t = σ(W_xr x_t + W_hr h_{t-1} + b_r)
        update gate  z_t = σ(W_xz x_t + W_hz h_{t-1} + b_z)
        candidate    n_t = tanh(W_xn x_t + b_xn + r_t · (W_hn h_{t-1} + b_hn))
        hidden       h_t = (1 - z_t) · n_t + z_t · h_{t-1}
    """

    gates = 3
    sums = False

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__(input_size, hidden_size, layer_norm=layer_norm)
        self.bias_new = nn.Parameter(torch.zeros(hidden_size))  # b_hn

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        assert recurrent is not None
        input_r, input_z, input_n = projected.chunk(3, dim=-1)  # (B, H) each
        hidden_r, hidden_z, hidden_n = recurrent.chunk(3, dim=-1)  # (B, H) each
        reset = torch.sigmoid(input_r + hidden_r)  # (B, H) r_t
        update = torch.sigmoid(input_z + hidden_z)  # (B, H) z_t
        new = torch.tanh(input_n + reset * (hidden_n + self.bias_new))  # (B, H) n_t
        return CellState(torch.lerp(new, state.hidden.to(new.dtype), update.to(new.dtype)), None)


class RNNCell(Cell):
    """Plain recurrent network (Elman 1990).

    Equation: h_t = tanh(W x_t + U h_{t-1} + b)
    """

    gates = 1

    def advance(self, projected: Tensor, recurrent: Tensor | None, state: CellState) -> CellState:
        return CellState(torch.tanh(projected if recurrent is None else projected + recurrent), None)


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}


def _norm(width: int, layer_norm: bool, *, bias: bool) -> nn.LayerNorm | nn.Identity:
    return nn.LayerNorm(width, bias=bias) if layer_norm else nn.Identity()
