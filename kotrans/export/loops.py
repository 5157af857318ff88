"""Recurrent layers in the form that ONNX has for them.

Shape key: B sentences, T positions, I input width, H state width, G number of gates.
"""

import warnings
from copy import deepcopy

import torch
from torch import Tensor, nn

from kotrans.model.cells import CELLS, Cell, CellState, GRUCell
from kotrans.model.recurrence import LibraryRecurrence, LoopedRecurrence, Recurrence
from kotrans.model.seq2seq import Seq2Seq


def for_any_length(model: Seq2Seq) -> Seq2Seq:
    """A copy of a model that can be traced for any number of positions; our own loops would be unrolled for one."""
    copied = deepcopy(model).eval()
    for name, module in list(copied.named_modules()):
        if isinstance(module, LoopedRecurrence):
            normed = isinstance(module.cell.input_norm, nn.LayerNorm)
            copied.set_submodule(name, ScriptedRecurrence(module.cell) if normed else _on_kernel(module.cell))
    return copied


def _on_kernel(cell: Cell) -> LibraryRecurrence:
    """A cell without layer normalisation on the library's kernel: recurrent dropout is for training alone."""
    (kind,) = (name for name, made in CELLS.items() if type(cell) is made)
    layer = LibraryRecurrence(kind, cell.weight_input.size(1), cell.hidden_size)
    hidden_bias = torch.zeros_like(cell.bias)  # (G*H,)
    if isinstance(cell, GRUCell):
        hidden_bias[-cell.hidden_size :] = cell.bias_new
    weights = [cell.weight_input, cell.weight_hidden, cell.bias, hidden_bias]
    with torch.no_grad():
        for parameter, weight in zip(layer.kernel.parameters(), weights, strict=True):
            parameter.copy_(weight)
    return layer.eval()


class ScriptedRecurrence(Recurrence):
    """A cell run over a whole sequence by a scripted loop, which becomes an ONNX one."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell
        width = cell.hidden_size
        example = torch.zeros(1, cell.gates * width), torch.zeros(1, width), torch.zeros(1, width)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as of the exporter that needs it, see `graphs`
            self.loop = torch.jit.script(_Loop(torch.jit.trace(_Step(cell), example)))

    def forward(self, inputs: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """States (B, T, H) of inputs (B, T, I) and the last state."""
        state = state or self.cell.initial(inputs.new_zeros(inputs.size(0), self.cell.hidden_size))
        long_term = torch.zeros_like(state.hidden) if state.long_term is None else state.long_term
        states, hidden, long_term = self.loop(self.cell.project(inputs), state.hidden, long_term)
        return states, CellState(hidden, None if state.long_term is None else long_term)


class _Step(nn.Module):
    """A step of a cell in tensors; those that have no long term pass it through."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, projected: Tensor, hidden: Tensor, long_term: Tensor) -> tuple[Tensor, Tensor]:
        """The next hidden state and long term (B, H) from projected (B, G*H)."""
        state = self.cell(projected, CellState(hidden, long_term))
        return state.hidden, long_term if state.long_term is None else state.long_term


class _Loop(nn.Module):
    """A step repeated, in what TorchScript can say."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, projected: Tensor, hidden: Tensor, long_term: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, T, H) and the last state from projected (B, T, G*H)."""
        states = []
        for position in range(projected.size(1)):
            hidden, long_term = self.step(projected[:, position], hidden, long_term)
            states.append(hidden)
        return torch.stack(states, dim=1), hidden, long_term
