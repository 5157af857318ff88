"""The encoder: RNN, LSTM or GRU layers over the source, in one direction or both.

Shape key: B sentences, S source positions, T positions of any sequence, I input width, E embedding width,
D width of one direction, H width of an encoder state (both directions).
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kotrans.model.cells import CELLS, CellState
from kotrans.model.dropout import Dropout
from kotrans.model.kernels.bptt_functions import has_backward_pass, recur

_KERNELS: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Recurrence(nn.Module):
    """One layer in one direction: h_1 … h_T of inputs x_1 … x_T."""

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """Returns h (B, T, D) of inputs (B, T, I) and the last state; starts at zeros by default."""
        raise NotImplementedError


class LibraryRecurrence(Recurrence):
    """The kernel of PyTorch (oneDNN, cuDNN), for cells without layer normalisation and recurrent dropout."""

    def __init__(self, cell: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.kernel = _KERNELS[cell](input_size, hidden_size, batch_first=True)

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
    """Returns whether the kernels run in bfloat16 on this processor; with AVX2 alone they raise RuntimeError."""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(8, 8, batch_first=True)(torch.zeros(2, 2, 8))
    except RuntimeError:
        return False
    return True


class LoopedRecurrence(Recurrence):
    """A `Cell` in a loop over positions, with optional layer normalisation and recurrent dropout."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, *, layer_norm: bool, dropout: float) -> None:
        super().__init__()
        self.cell = CELLS[cell](input_size, hidden_size, layer_norm=layer_norm)
        self.dropout = Dropout(dropout)
        self.plain = False  # if true, autograd differentiates the loop instead of the hand-written backward pass

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        state = state or self.cell.initial(inputs.new_zeros(inputs.size(0), self.cell.hidden_size))
        mask = self.dropout.sentence_mask(state.hidden)  # (B, D)
        if torch.is_grad_enabled() and not self.plain and has_backward_pass(self.cell, None):
            states, last = recur(self.cell, self.cell.project_all(inputs.transpose(0, 1)), state, mask)  # (T, B, D)
            return states.transpose(0, 1), last
        projected = self.cell.project(inputs)  # (B, T, G*D)
        hiddens = []
        for step in projected.unbind(1):
            state = self.cell(step, state, mask)
            hiddens.append(state.hidden)
        return torch.stack(hiddens, dim=1), state


def recurrence(cell: str, input_size: int, hidden_size: int, *, layer_norm: bool, dropout: float) -> Recurrence:
    """Returns the fastest implementation that supports these options."""
    if layer_norm or dropout:
        return LoopedRecurrence(cell, input_size, hidden_size, layer_norm=layer_norm, dropout=dropout)
    return LibraryRecurrence(cell, input_size, hidden_size)


class EncoderOutput(NamedTuple):
    """Outputs of the encoder."""

    memory: Tensor  # (B, S, H) states h_j, zeros on padding
    mask: Tensor  # (B, S) true on real pieces
    initial: Tensor  # (B, D) input of s_0: the backward state at position 1, or the last state of a one-way encoder
    embedded: Tensor  # (B, S, E) inputs of the encoder
    final: Tensor  # (B, H) last state of every direction: the fixed context of `attention.score: none`


class Encoder(nn.Module):
    """Bidirectional encoder (Schuster and Paliwal 1997; Bahdanau et al. 2015, section 3.2), or a one-way one.

    Equations, with f the cell:
        forward   hf_j = f(x_j, hf_{j-1})
        backward  hb_j = f(x_j, hb_{j+1})
        state     h_j  = [hf_j ; hb_j], one-way: h_j = hf_j

    Each layer reads the h_j of the layer below. The backward direction starts at the last real piece, so that padding
    never changes a state.
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

    def forward(self, embedded: Tensor, mask: Tensor) -> EncoderOutput:
        """Encodes embedded (B, S, E); mask (B, S) is true on real pieces, which come first in every row."""
        backwards = reversal(mask)  # (B, S)
        states = embedded
        for depth, layer in enumerate(self.layers):
            assert isinstance(layer, nn.ModuleList)
            inputs = states if depth == 0 else self.dropout(states)
            outputs = [layer[0](inputs)[0]]  # (B, S, D) hf_j
            if self.bidirectional:
                read = layer[1](reorder(inputs, backwards))[0]  # (B, S, D) in reading order
                outputs.append(reorder(read, backwards))  # (B, S, D) hb_j
            states = torch.cat(outputs, dim=-1)  # (B, S, H)
        memory = states.masked_fill(~mask.unsqueeze(-1), 0)  # (B, S, H)
        last = outputs[0][torch.arange(mask.size(0), device=mask.device), mask.sum(1) - 1]  # (B, D)
        initial = outputs[1][:, 0] if self.bidirectional else last  # (B, D)
        final = torch.cat([last, initial], dim=-1) if self.bidirectional else last  # (B, H)
        return EncoderOutput(self.dropout(memory), mask, initial, embedded, final)


def reversal(mask: Tensor) -> Tensor:
    """Returns, for each row, the positions (B, S) of its real pieces in reverse order; padding keeps its position."""
    positions = torch.arange(mask.size(1), device=mask.device).expand_as(mask)  # (B, S)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - positions, positions)


def reorder(states: Tensor, positions: Tensor) -> Tensor:
    """Returns states (B, S, H) at the given positions (B, S)."""
    return states.gather(1, positions.unsqueeze(-1).expand_as(states))
