"""RNN, LSTM or GRU over the source, one way or both.

Shape key: B sentences, S source positions, E embedding width, H width of an encoder state (both directions together).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from kotrans.model.dropout import Dropout
from kotrans.model.recurrence import recurrence


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
