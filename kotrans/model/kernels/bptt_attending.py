"""The decoder's first layer over all steps of a batch, and the pass back through it, without a graph.

Shape key: T steps, B sentences, S source positions, H memory width, Q state width, A width of a query, G gates.

Products over all steps at once, which the loops leave for the end.

Shape key: T steps, B sentences.

The score functions over all steps of a batch: those of `kotrans.model.attention`, with their derivatives.

Shape key: T steps, B sentences, S source positions, A width of a query and of a key.
A query is what the weights make of the decoder's state: W_s s (additive), W_a s (location), or s itself.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from kotrans.model.attention import SHORTEST
from kotrans.model.kernels.bptt_cells import CellSteps
from kotrans.model.kernels.products import PackedMatrix, filled_up


def summed(left: Tensor, right: Tensor) -> Tensor:
    """Sum over t and b of left (T, B, M) times right (T, B, N), as an outer product: (M, N)."""
    return filled_up(left.flatten(0, 1)).t() @ filled_up(right.flatten(0, 1))


def summed_by_sentence(left: Tensor, right: Tensor) -> Tensor:
    """Sum over t of left (T, B, M) times right (T, B, N), as an outer product for each sentence: (B, M, N)."""
    return torch.bmm(left.to(right.dtype).permute(1, 2, 0), right.transpose(0, 1))


class ScoreSteps:
    """`forward` for t = 0 … T-1, then `backward` for t = T-1 … 0, then `gradients`."""

    def start_backward(self) -> None:
        """Makes room for the gradients."""

    def forward(self, query: Tensor) -> Tensor:
        """Scores (B, S) of query (B, A)."""
        raise NotImplementedError

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        """Gradient (B, A) of the query from grad (B, S) of its scores, which adds up to 0 over the positions."""
        raise NotImplementedError

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of the keys (B, S, A) and of the score's own parameter, if there are any.

        queries (T, B, A) and grads (T, B, S) are those of all steps.
        """
        raise NotImplementedError


class AdditiveSteps(ScoreSteps):
    """v . tanh(q + k). tanh over (B, S, A) is computed again backward: that is quicker than reading it from memory.

    Backward it is squared where it stands, from tanh' = 1 - tanh^2; what the 1 gives is added up without it.
    """

    def __init__(self, keys: Tensor, energy: Tensor) -> None:
        """keys (B, S, A), energy v (A,)."""
        precision = torch.promote_types(keys.dtype, torch.float32)
        self.keys, self.energy = keys.to(precision), energy.to(precision)
        self.hidden = torch.empty_like(self.keys)

    def start_backward(self) -> None:
        self.grad_squares = torch.zeros_like(self.keys)  # sum over t of grad * tanh^2
        self.grad_energy = self.keys.new_zeros(self.keys.size(0), 1, self.keys.size(2))

    def forward(self, query: Tensor) -> Tensor:
        return torch.mv(self._tanh(query).view(-1, self.keys.size(2)), self.energy).view(self.keys.shape[:2])

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        hidden = self._tanh(query)
        row = grad.unsqueeze(1)  # (B, 1, S)
        self.grad_energy.baddbmm_(row, hidden)
        squares = hidden.mul_(hidden)
        self.grad_squares.addcmul_(squares, grad.unsqueeze(2))
        return torch.bmm(row, squares).squeeze(1).mul_(-self.energy)  # the scores' gradient adds up to 0

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[Tensor, Tensor]:
        grad_keys = torch.sub(grads.sum(0).unsqueeze(2), self.grad_squares, out=self.grad_squares).mul_(self.energy)
        return grad_keys, self.grad_energy.sum(0)  # v is a row

    def _tanh(self, query: Tensor) -> Tensor:
        return torch.add(self.keys, query.to(self.keys.dtype).unsqueeze(1), out=self.hidden).tanh_()  # (B, S, A)


class ProductSteps(ScoreSteps):
    """factor q . k: `dot` and `general`, whose keys are made outside."""

    def __init__(self, keys: Tensor, factor: float = 1.0) -> None:
        self.keys, self.factor = keys, factor

    def forward(self, query: Tensor) -> Tensor:
        return torch.bmm(self.keys, query.to(self.keys.dtype).unsqueeze(2)).squeeze(2) * self.factor

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        grad = (grad * self.factor).to(self.keys.dtype)
        return torch.bmm(grad.unsqueeze(1), self.keys).squeeze(1)

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[Tensor, None]:
        return summed_by_sentence(grads * self.factor, queries.to(self.keys.dtype)), None


class CosineSteps(ScoreSteps):
    """beta q . k / |q|, the keys normalised outside; a learned beta is exp(log_beta)."""

    def __init__(self, keys: Tensor, log_beta: Tensor | None) -> None:
        self.keys = keys
        self.beta = keys.new_ones(()) if log_beta is None else log_beta.exp().to(keys.dtype)
        self.learned = log_beta is not None

    def forward(self, query: Tensor) -> Tensor:
        direction, _ = self._direction(query)
        return torch.bmm(self.keys, direction.unsqueeze(2)).squeeze(2) * self.beta

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        direction, length = self._direction(query)
        grad_direction = torch.bmm(grad.to(self.keys.dtype).unsqueeze(1), self.keys).squeeze(1) * self.beta  # (B, A)
        along = (grad_direction * direction).sum(1, keepdim=True).masked_fill(length < SHORTEST, 0)  # (B, 1)
        return (grad_direction - along * direction) / length.clamp_min(SHORTEST)

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[Tensor, Tensor | None]:
        directions, _ = self._direction(queries)
        grad_products = summed_by_sentence(grads, directions)  # (B, S, A)
        return grad_products * self.beta, (grad_products * self.keys).sum() * self.beta if self.learned else None

    def _direction(self, query: Tensor) -> tuple[Tensor, Tensor]:
        query = query.to(self.keys.dtype)
        length = query.norm(dim=-1, keepdim=True)
        return query / length.clamp_min(SHORTEST), length


class LocationSteps(ScoreSteps):
    """The first S numbers of W_a s."""

    def __init__(self, keys: Tensor) -> None:
        self.length = keys.size(1)

    def forward(self, query: Tensor) -> Tensor:
        return query[:, : self.length]

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        return functional.pad(grad, (0, query.size(1) - self.length))

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[None, None]:
        return None, None


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
