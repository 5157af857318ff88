"""Attention over all steps of a batch, forward and backward, without an autograd graph.

The scores are those of `kotrans.model.attention`. The loops compute only what depends on the step before (forward) or
after (backward); gradients of weights are one product over all steps at the end.

Shape key: T steps, B sentences, S source positions, H memory width, Q state width, A width of a query and of a key,
G width of the gates. The query is W_s s for the additive score and s itself otherwise.
"""

import torch
from torch import Tensor

from kotrans.model.kernels.bptt_cells import sum_of_outer_products
from kotrans.model.kernels.private_operators import softmax_backward
from kotrans.model.kernels.products import PackedMatrix


def _sum_by_sentence(left: Tensor, right: Tensor) -> Tensor:
    """Returns the sum over t of the outer products of left (T, B, M) and right (T, B, N): (B, M, N)."""
    return torch.bmm(left.to(right.dtype).permute(1, 2, 0), right.transpose(0, 1))


class AdditiveSteps:
    """v_a · tanh(q + k).

    tanh over (B, S, A) is recomputed in the backward pass, which is faster than reading it from memory. There it is
    squared in place, as tanh' = 1 - tanh²; the constant 1 is summed separately.
    """

    def __init__(self, keys: Tensor, energy: Tensor) -> None:
        """keys (B, S, A), energy v_a (A,)."""
        precision = torch.promote_types(keys.dtype, torch.float32)
        self._keys, self._energy = keys.to(precision), energy.to(precision)
        self._hidden = torch.empty_like(self._keys)

    def forward(self, query: Tensor) -> Tensor:
        """Returns the scores (B, S) of query (B, A)."""
        return torch.mv(self._tanh(query).view(-1, self._keys.size(2)), self._energy).view(self._keys.shape[:2])

    def start_backward(self) -> None:
        """Allocates the gradients."""
        self._grad_squares = torch.zeros_like(self._keys)  # sum over t of grad · tanh²
        self._grad_energy = self._keys.new_zeros(self._keys.size(0), 1, self._keys.size(2))

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        """Returns the gradient (B, A) of the query from grad (B, S) of the scores, whose sum over S is 0."""
        hidden = self._tanh(query)
        row = grad.unsqueeze(1)  # (B, 1, S)
        self._grad_energy.baddbmm_(row, hidden)
        squares = hidden.mul_(hidden)
        self._grad_squares.addcmul_(squares, grad.unsqueeze(2))
        return torch.bmm(row, squares).squeeze(1).mul_(-self._energy)

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the gradients of the keys (B, S, A) and of v_a (1, A) from grads (T, B, S) of the scores."""
        squares = self._grad_squares
        grad_keys = torch.sub(grads.sum(0).unsqueeze(2), squares, out=squares).mul_(self._energy)
        return grad_keys, self._grad_energy.sum(0)

    def _tanh(self, query: Tensor) -> Tensor:
        return torch.add(self._keys, query.to(self._keys.dtype).unsqueeze(1), out=self._hidden).tanh_()  # (B, S, A)


class ProductSteps:
    """factor q · k: the scores `dot` and `general`, with keys computed by the caller."""

    def __init__(self, keys: Tensor, factor: float = 1.0) -> None:
        """keys (B, S, A)."""
        self._keys, self._factor = keys, factor

    def forward(self, query: Tensor) -> Tensor:
        """Returns the scores (B, S) of query (B, A)."""
        return torch.bmm(self._keys, query.to(self._keys.dtype).unsqueeze(2)).squeeze(2) * self._factor

    def start_backward(self) -> None:
        """Does nothing: all gradients are computed in `gradients`."""

    def backward(self, query: Tensor, grad: Tensor) -> Tensor:
        """Returns the gradient (B, A) of the query from grad (B, S) of the scores."""
        return torch.bmm((grad * self._factor).to(self._keys.dtype).unsqueeze(1), self._keys).squeeze(1)

    def gradients(self, queries: Tensor, grads: Tensor) -> tuple[Tensor, None]:
        """Returns the gradient of the keys (B, S, A) from queries (T, B, A) and grads (T, B, S) of the scores."""
        return _sum_by_sentence(grads * self._factor, queries.to(self._keys.dtype)), None


ScoreSteps = AdditiveSteps | ProductSteps


class AttentionSteps:
    """α_i and c_i: `forward` for t = 0 … T-1, `start_backward`, `backward` for t = T-1 … 0, then the gradients."""

    def __init__(
        self, hidden: Tensor, score: ScoreSteps, weight_query: Tensor | None, weight_context: Tensor, memory: Tensor,
        mask: Tensor,
    ) -> None:  # fmt: skip
        """hidden (T+1, B, Q) s_0 … s_T, which the caller fills; memory (B, S, H), mask (B, S) true on real pieces.

        weight_query W_s (A, Q) of the additive score, weight_context (G, H) the columns of W for the context, both in
        the dtype of the products.
        """
        steps, batch = len(hidden) - 1, len(memory)
        self._hidden, self._score, self._memory, self._padding = hidden, score, memory, ~mask
        self._weights = weight_query, weight_context
        precision = torch.promote_types(hidden.dtype, torch.float32)
        self.alphas = memory.new_empty(steps, *mask.shape, dtype=precision)  # (T, B, S)
        self.contexts = memory.new_empty(steps, batch, memory.size(2), dtype=hidden.dtype)  # (T, B, H)
        self._queries = hidden[:-1]  # (T, B, A)
        if weight_query is not None:
            self._queries = memory.new_empty(steps, batch, len(weight_query), dtype=hidden.dtype)
        self._query = None if weight_query is None else PackedMatrix(weight_query, batch)
        self._context = PackedMatrix(weight_context, batch)

    def forward(self, t: int, projected: Tensor) -> Tensor:
        """Attends with the state before step t and returns projected (B, G) plus the share of the context in W x."""
        query, alpha, context = self._queries[t], self.alphas[t], self.contexts[t]
        if self._query is not None:
            query.copy_(self._query.product(self._hidden[t]))
        scores = self._score.forward(query).to(alpha.dtype)  # (B, S)
        torch.softmax(scores.masked_fill(self._padding, -torch.inf), 1, out=alpha)
        context.copy_(torch.bmm(alpha.to(self._memory.dtype).unsqueeze(1), self._memory).squeeze(1))
        return self._context.product(context, plus=projected)

    def start_backward(self) -> None:
        """Allocates the gradients."""
        self._score.start_backward()
        self._grad_contexts = torch.empty_like(self.contexts)
        self._grad_scores = torch.empty_like(self.alphas)
        self._grad_queries = torch.empty_like(self._queries)
        query, context = self._weights
        self._query = None if query is None else PackedMatrix(query.t(), len(self._memory))
        self._context = PackedMatrix(context.t(), len(self._memory))

    def backward(self, t: int, grad_projected: Tensor, grad_context: Tensor, grad_alpha: Tensor | None) -> Tensor:
        """Returns the gradient (B, Q) of the state before step t that flows through the attention.

        grad_projected (B, G) is the gradient of W x, grad_context (B, H) and grad_alpha (B, S) those from outside.
        """
        grad_context = self._context.product(grad_projected, plus=grad_context)  # (B, H)
        self._grad_contexts[t] = grad_context
        grad = torch.bmm(self._memory, grad_context.to(self._memory.dtype).unsqueeze(2)).squeeze(2)  # (B, S)
        if grad_alpha is not None:
            grad = grad + grad_alpha
        alpha, grad_scores = self.alphas[t], self._grad_scores[t]
        softmax_backward(grad.to(alpha.dtype), alpha, grad_scores)
        self._grad_queries[t] = self._score.backward(self._queries[t], grad_scores)
        return self._grad_queries[t] if self._query is None else self._query.product(self._grad_queries[t])

    def grad_score(self) -> tuple[Tensor, Tensor | None]:
        """Returns the gradients of the keys (B, S, A) and of v_a (1, A) of the additive score."""
        return self._score.gradients(self._queries, self._grad_scores)

    def grad_memory(self) -> Tensor:
        """Returns the gradient (B, S, H) of the memory as far as it is summed to contexts."""
        return _sum_by_sentence(self.alphas, self._grad_contexts)

    def grad_weights(self, grad_projected: Tensor) -> tuple[Tensor | None, Tensor]:
        """Returns the gradients of W_s (A, Q) and of the columns of W (G, H) from grad_projected (T, B, G)."""
        query = None if self._query is None else sum_of_outer_products(self._grad_queries, self._hidden[:-1])
        return query, sum_of_outer_products(grad_projected, self.contexts)
