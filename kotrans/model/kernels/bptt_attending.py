"""The decoder's first layer over all steps of a batch, and the pass back through it, without a graph.

Shape key: T steps, B sentences, S source positions, H memory width, Q state width, A width of a query, G gates.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from kotrans.model.kernels.bptt_cells import CellSteps
from kotrans.model.kernels.bptt_products import summed, summed_by_sentence
from kotrans.model.kernels.bptt_scores import ScoreSteps
from kotrans.model.kernels.products import PackedMatrix

_softmax_backward = torch.ops.aten._softmax_backward_data.out


class Weights(NamedTuple):
    """What is multiplied in the loop, in the products' type."""

    hidden: Tensor  # U (G*Q, Q)
    context: Tensor  # (G*Q, H) the columns of W that belong to the context
    query: Tensor | None  # (A, Q) W_s or W_a of a score that has one

    def transposed(self) -> Self:
        """For the way back."""
        query = None if self.query is None else self.query.t()
        return self._replace(hidden=self.hidden.t(), context=self.context.t(), query=query)


class PackedWeights(NamedTuple):
    """The same, or their transposes, as the products of the loop want them."""

    hidden: PackedMatrix
    context: PackedMatrix
    query: PackedMatrix | None

    @classmethod
    def of(cls, weights: Weights, rows: int) -> Self:
        """For products with so many rows."""
        query = None if weights.query is None else PackedMatrix(weights.query, rows)
        return cls(PackedMatrix(weights.hidden, rows), PackedMatrix(weights.context, rows), query)


class AttendingSteps:
    """alpha_i, c_i and s_i for i = 1 … T, and the gradients of all that they were made of.

    In the loops is only what depends on the step before (forward) or after (backward). The gradient of a weight is one
    product over all steps, after the loop.
    """

    def __init__(
        self, cell: CellSteps, score: ScoreSteps, weights: Weights, memory: Tensor, mask: Tensor,
        dropout_mask: Tensor | None,
    ) -> None:  # fmt: skip
        """memory (B, S, H), mask (B, S) true on real pieces, dropout_mask (B, Q) as in `Cell.forward`."""
        steps, (batch, _, width) = len(cell.hidden) - 1, memory.shape
        self.cell, self.score, self.weights = cell, score, weights
        self.memory, self.padding, self.dropout_mask = memory, ~mask, dropout_mask
        self.alphas = memory.new_empty(steps, *mask.shape, dtype=cell.precision)
        self.contexts = memory.new_empty(steps, batch, width, dtype=weights.context.dtype)
        self.queries = cell.hidden[:-1]
        if weights.query is not None:
            self.queries = memory.new_empty(steps, batch, weights.query.size(0), dtype=weights.query.dtype)

    def forward(self, projected: Tensor) -> None:
        """projected (T, B, G*Q) = W y + b, without the context's share."""
        hidden = self.cell.hidden
        weights = PackedWeights.of(self.weights, hidden.size(1))
        for t, (step, query, alpha, context) in enumerate(
            zip(projected, self.queries, self.alphas, self.contexts, strict=True)
        ):
            if weights.query is not None:
                query.copy_(weights.query.product(hidden[t]))
            scores = self.score.forward(query).to(alpha.dtype)  # (B, S)
            torch.softmax(scores.masked_fill(self.padding, -torch.inf), 1, out=alpha)
            context.copy_(torch.bmm(alpha.to(self.memory.dtype).unsqueeze(1), self.memory).squeeze(1))
            gates = weights.context.product(context, plus=step)  # (B, G*Q)
            self.cell.forward(t, gates, weights.hidden.product(self._dropped(hidden[t])))

    def backward(
        self, grad_hidden: Tensor, grad_contexts: Tensor, grad_alphas: Tensor | None, grad_long_term: Tensor | None
    ) -> None:
        """From the gradients of s (T, B, Q), c (T, B, H), alpha (T, B, S) and an LSTM's last C (B, Q)."""
        cell = self.cell
        weights = PackedWeights.of(self.weights.transposed(), grad_hidden.size(1))
        cell.start_backward(grad_long_term)
        self.score.start_backward()
        self.grad_contexts = torch.empty_like(self.contexts)
        self.grad_scores = torch.empty_like(self.alphas)
        self.grad_queries = torch.empty_like(self.queries)
        self.grad_first = torch.zeros_like(cell.hidden[0], dtype=cell.precision)  # of s_t, at last of s_0
        for t in reversed(range(len(self.alphas))):
            past = cell.backward(t, self.grad_first.add_(grad_hidden[t]))
            grad_context = weights.context.product(cell.grad_projected[t], plus=grad_contexts[t])  # (B, H)
            self.grad_contexts[t] = grad_context
            grad_alpha = torch.bmm(self.memory, grad_context.to(self.memory.dtype).unsqueeze(2)).squeeze(2)  # (B, S)
            if grad_alphas is not None:
                grad_alpha = grad_alpha + grad_alphas[t]
            alpha = self.alphas[t]
            _softmax_backward(grad_alpha.to(alpha.dtype), alpha, 1, alpha.dtype, grad_input=self.grad_scores[t])
            self.grad_queries[t] = self.score.backward(self.queries[t], self.grad_scores[t])
            self.grad_first = self._dropped(weights.hidden.product(cell.grad_recurrent[t]).to(cell.precision))
            asked = self.grad_queries[t] if weights.query is None else weights.query.product(self.grad_queries[t])
            self.grad_first.add_(asked)
            if past is not None:
                self.grad_first.add_(past)

    def grad_memory(self) -> Tensor:
        """(B, S, H)"""
        return summed_by_sentence(self.alphas, self.grad_contexts)

    def grad_weights(self) -> Weights:
        """Each one product over all steps and sentences."""
        hidden = self.cell.hidden[:-1]
        return Weights(
            hidden=summed(self.cell.grad_recurrent, self._dropped(hidden)),
            context=summed(self.cell.grad_projected, self.contexts),
            query=None if self.weights.query is None else summed(self.grad_queries, hidden),
        )

    def _dropped(self, hidden: Tensor) -> Tensor:
        return hidden if self.dropout_mask is None else hidden * self.dropout_mask.to(hidden.dtype)
