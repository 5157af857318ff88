"""The score functions over all steps of a batch: those of `kotrans.model.attention`, with their derivatives.

Shape key: T steps, B sentences, S source positions, A width of a query and of a key.
A query is what the weights make of the decoder's state: W_s s (additive), W_a s (location), or s itself.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kotrans.model.attention import SHORTEST
from kotrans.model.kernels.bptt_products import summed_by_sentence


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
