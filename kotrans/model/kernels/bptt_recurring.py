"""A cell over all steps of a batch, and the pass back through it, without a graph.

Shape key: T steps, B sentences, Q state width, G gates.
"""

import torch
from torch import Tensor

from kotrans.model.kernels.bptt_cells import CellSteps
from kotrans.model.kernels.bptt_products import summed
from kotrans.model.kernels.products import PackedMatrix


class RecurringSteps:
    """h_1 … h_T of inputs that are all there before, and the gradients of what they were made of."""

    def __init__(self, cell: CellSteps, weight: Tensor, dropout_mask: Tensor | None) -> None:
        """weight U (G*Q, Q) in the products' type, dropout_mask (B, Q) as in `Cell.forward`."""
        self.cell, self.weight, self.dropout_mask = cell, weight, dropout_mask

    def forward(self, projected: Tensor) -> None:
        """projected (T, B, G*Q) = W x + b."""
        hidden = self.cell.hidden
        weight = PackedMatrix(self.weight, hidden.size(1))
        for t, step in enumerate(projected):
            self.cell.forward(t, step, weight.product(self.dropped(hidden[t])))

    def backward(self, grad_hidden: Tensor, grad_long_term: Tensor | None) -> None:
        """From the gradients of h (T, B, Q) and of an LSTM's last C (B, Q)."""
        cell = self.cell
        cell.start_backward(grad_long_term)
        weight = PackedMatrix(self.weight.t(), grad_hidden.size(1))
        self.grad_first = torch.zeros_like(cell.hidden[0], dtype=cell.precision)  # of h_t, at last of h_0
        for t in reversed(range(len(grad_hidden))):
            past = cell.backward(t, self.grad_first.add_(grad_hidden[t]))
            self.grad_first = self.dropped(weight.product(cell.grad_recurrent[t]).to(cell.precision))
            if past is not None:
                self.grad_first.add_(past)

    def grad_weight(self) -> Tensor:
        """One product over all steps and sentences."""
        return summed(self.cell.grad_recurrent, self.dropped(self.cell.hidden[:-1]))

    def dropped(self, hidden: Tensor) -> Tensor:
        """The states as U multiplies them."""
        return hidden if self.dropout_mask is None else hidden * self.dropout_mask.to(hidden.dtype)
