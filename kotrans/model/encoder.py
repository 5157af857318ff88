"""RNN, LSTM or GRU over the source, one way or both.

Shape key: B sentences, S source positions, E embedding width, H width of an encoder state (both directions together).

A cell run over a whole sequence, on the library's fused kernel where it has one.

Shape key: B sentences, T positions, I input width, H state width.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kotrans.model.cells import CELLS, CellState
from kotrans.model.dropout import Dropout
from kotrans.model.kernels.bptt_functions import recur


class Recurrence(nn.Module):
    """One layer in one direction: states h_1 … h_T of inputs x_1 … x_T."""

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """States (B, T, H) of inputs (B, T, I) and the last state; starts from zeros without a state."""
        raise NotImplementedError


KERNELS: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class LibraryRecurrence(Recurrence):
    """The library's kernel (oneDNN, cuDNN), for cells without layer normalisation and recurrent dropout."""

    def __init__(self, cell: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.kernel = KERNELS[cell](input_size, hidden_size, batch_first=True)

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        if inputs.is_cpu and torch.is_autocast_enabled("cpu") and not _runs_in_bf16():
            with torch.autocast("cpu", enabled=False):
                return self._run(inputs.float(), state)
        return self._run(inputs, state)

    def _run(self, inputs: Tensor, state: CellState | None) -> tuple[Tensor, CellState]:
        if state is None:
            states, last = self.kernel(inputs)
        elif state.long_term is None:
            states, last = self.kernel(inputs, state.hidden.unsqueeze(0).to(inputs.dtype))
        else:
            first = (state.hidden.unsqueeze(0).to(inputs.dtype), state.long_term.unsqueeze(0).to(inputs.dtype))
            states, last = self.kernel(inputs, first)
        hidden, long_term = last if isinstance(last, tuple) else (last, None)
        return states, CellState(hidden.squeeze(0), None if long_term is None else long_term.squeeze(0))


@cache
def _runs_in_bf16() -> bool:
    """Whether this processor runs the library's kernels in bfloat16; those with AVX2 alone refuse an LSTM."""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(8, 8, batch_first=True)(torch.zeros(2, 2, 8))
    except RuntimeError:
        return False
    return True


class LoopedRecurrence(Recurrence):
    """Our own cell, step by step: the readable definition, with layer normalisation and recurrent dropout."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, *, layer_norm: bool, dropout: float) -> None:
        super().__init__()
        self.cell = CELLS[cell](input_size, hidden_size, layer_norm=layer_norm)
        self.dropout = Dropout(dropout)
        self.plain = False  # true: train by the plain steps, too

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        state = state or self.cell.initial(inputs.new_zeros(inputs.size(0), self.cell.hidden_size))
        mask = self.dropout.sentence_mask(state.hidden)  # (B, H)
        if self.plain or not torch.is_grad_enabled():
            return self._by_steps(inputs, state, mask)
        states, last = recur(self.cell, self.cell.project_all(inputs.transpose(0, 1)), state, mask)
        return states.transpose(0, 1), last

    def _by_steps(self, inputs: Tensor, state: CellState, mask: Tensor | None) -> tuple[Tensor, CellState]:
        projected = self.cell.project(inputs)  # (B, T, G*H)
        states = []
        for step in projected.unbind(1):
            state = self.cell(step, state, mask)
            states.append(state.hidden)
        return torch.stack(states, dim=1), state


def recurrence(cell: str, input_size: int, hidden_size: int, *, layer_norm: bool, dropout: float) -> Recurrence:
    """The fastest recurrence that can compute what is asked for."""
    if layer_norm or dropout:
        return LoopedRecurrence(cell, input_size, hidden_size, layer_norm=layer_norm, dropout=dropout)
    return LibraryRecurrence(cell, input_size, hidden_size)


class Encoded(NamedTuple):
    """What the decoder gets to see of a source."""

    memory: Tensor  # (B, S, H) states h_j, zeros on padding
    mask: Tensor  # (B, S) true on real pieces
    first: Tensor  # (B, D) backward state at position 1, or the last forward state of a one-way encoder: makes s_0
    embedded: Tensor  # (B, S, E) what was read
    final: Tensor  # (B, H) last state of every direction: the fixed context of `attention.score: none`


class Encoder(nn.Module):
    """h_j = [forward h_j ; backward h_j]  (Schuster and Paliwal 1997; Bahdanau et al. 2015, section 3.2).

    Each layer reads the layer below whole. The backward direction starts at the last real piece, so neighbours in a
    batch never change a state.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, layers: int,
        *, bidirectional: bool, layer_norm: bool, dropout: float, recurrent_dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        directions = 2 if bidirectional else 1
        self.bidirectional = bidirectional
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                recurrence(cell, size, hidden_size, layer_norm=layer_norm, dropout=recurrent_dropout)
                for _ in range(directions)
            )
            for size in [input_size] + [hidden_size * directions] * (layers - 1)
        )

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """embedded (B, S, E), mask (B, S) true on real pieces, which come first in every row."""
        backwards = reversal(mask)  # (B, S)
        states = embedded
        for depth, layer in enumerate(self.layers):
            assert isinstance(layer, nn.ModuleList)
            inputs = states if depth == 0 else self.dropout(states)
            outputs = [layer[0](inputs)[0]]  # (B, S, D)
            if self.bidirectional:
                read = layer[1](reorder(inputs, backwards))[0]  # (B, S, D) in reading order, from the end
                outputs.append(reorder(read, backwards))
            states = torch.cat(outputs, dim=-1)  # (B, S, H)
        memory = states.masked_fill(~mask.unsqueeze(-1), 0)  # (B, S, H)
        last = outputs[0][torch.arange(mask.size(0), device=mask.device), mask.sum(1) - 1]  # (B, D)
        first = outputs[1][:, 0] if self.bidirectional else last
        final = torch.cat([last, first], dim=-1) if self.bidirectional else last
        return Encoded(self.dropout(memory), mask, first, embedded, final)


def reversal(mask: Tensor) -> Tensor:
    """For each row the positions (B, S) that read its real pieces from the end; padding stays where it is."""
    positions = torch.arange(mask.size(1), device=mask.device).expand_as(mask)  # (B, S)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - positions, positions)


def reorder(states: Tensor, positions: Tensor) -> Tensor:
    """states (B, S, H) at the given positions (B, S)."""
    return states.gather(1, positions.unsqueeze(-1).expand_as(states))
