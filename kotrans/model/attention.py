"""Attention of a decoder state over the encoder states: five score functions.

Symbols: s_{i-1} decoder state before step i, h_j encoder state at source position j, e_ij score, α_ij weight,
c_i context.

Shape key: B sentences, K decoder states per sentence, S source positions, H width of an encoder state (memory),
Q width of the decoder state, A width of a key.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.errors import ModelError
from kotrans.model.kernels.products import Linear

# Vectors shorter than this are divided by it in a cosine, which bounds the gradient. An encoder state can be 0 (word
# dropout on the first piece of a one-way encoder).
_SHORTEST = 1e-3


class Attention(nn.Module):
    """Base class: computes weights and contexts from the scores of a subclass (Bahdanau et al. 2015, section 3.1).

    Equations:
        e_ij = score(s_{i-1}, h_j)
        α_ij = exp(e_ij) / Σ_k exp(e_ik), over real source positions; exactly 0 on padding
        c_i  = Σ_j α_ij h_j
    """

    def keys(self, memory: Tensor) -> Tensor:
        """Returns the part of the score that depends on h_j alone: (B, S, A) from memory (B, S, H).

        It is computed once per sentence.
        """
        return memory

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Returns e_ij (B, K, S) from s_{i-1} in query (B, K, Q) and keys (B, S, A)."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns c_i (B, K, H) and α_ij (B, K, S) for s_{i-1} in query (B, K, Q).

        keys (B, S, A), memory (B, S, H), mask (B, S) true on real pieces.
        """
        scores = self.scores(query, keys)  # (B, K, S)
        # At least float32: in bfloat16 the weights would sum to 1 only roughly.
        precision = torch.promote_types(scores.dtype, torch.float32)
        weights = scores.masked_fill(~mask.unsqueeze(1), -math.inf).softmax(-1, dtype=precision)  # (B, K, S)
        return torch.bmm(weights.to(memory.dtype), memory), weights


class AdditiveAttention(Attention):
    """Additive score (Bahdanau et al. 2015, appendix A.1.2).

    Equation: e_ij = v_aᵀ tanh(W_a [s_{i-1} ; h_j]) = v_aᵀ tanh(W_s s_{i-1} + W_h h_j)
    """

    def __init__(self, memory_size: int, query_size: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, size, bias=False)  # W_s
        self.key = Linear(memory_size, size, bias=False)  # W_h
        self.energy = nn.Linear(size, 1, bias=False)  # v_a
        self.block = 2**18  # elements (1 MiB in float32) that fit into the cache of a core

    def keys(self, memory: Tensor) -> Tensor:
        return self.key(memory)  # (B, S, A) W_h h_j

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        projected = self.query(query).unsqueeze(2)  # (B, K, 1, A) W_s s_{i-1}
        keys = keys.unsqueeze(1)  # (B, 1, S, A)
        tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if torch.is_grad_enabled() or tracing or not keys.is_cpu:
            return self._energies(projected, keys)
        # A few sentences at a time, so that intermediate results stay in the cache of the core.
        rows = max(1, self.block // max(1, query.size(1) * keys[:1].numel()))
        blocks = zip(projected.split(rows), keys.split(rows), strict=True)
        return torch.cat([self._energies(*block) for block in blocks])  # (B, K, S)

    def _energies(self, query: Tensor, keys: Tensor) -> Tensor:
        """Returns e_ij (B, K, S) from query (B, K, 1, A) and keys (B, 1, S, A)."""
        hidden = (query + keys).tanh_()  # (B, K, S, A)
        return functional.linear(hidden, self.energy.weight.to(hidden.dtype)).squeeze(-1)


class CosineAttention(Attention):
    """Content-based score with key strength β (Graves et al. 2014, section 3.3.1).

    Equation: e_ij = β cos(s_{i-1}, h_j)

    β is one positive learned parameter, or fixed at 1. If the widths differ, h_j is projected to the width of s_{i-1}.
    Vectors shorter than _SHORTEST are divided by _SHORTEST.
    """

    def __init__(self, memory_size: int, query_size: int, *, learned_beta: bool) -> None:
        super().__init__()
        self.key = Linear(memory_size, query_size, bias=False) if memory_size != query_size else nn.Identity()
        # A cosine is in [-1, 1]: from β = 1 the weights would start almost uniform and hardly learn.
        self.log_beta = nn.Parameter(torch.tensor(math.log(8.0))) if learned_beta else None

    def keys(self, memory: Tensor) -> Tensor:
        return functional.normalize(self.key(memory), dim=-1, eps=_SHORTEST)  # (B, S, Q)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        direction = functional.normalize(query, dim=-1, eps=_SHORTEST).to(keys.dtype)  # (B, K, Q)
        cosine = torch.bmm(direction, keys.transpose(1, 2))  # (B, K, S)
        return cosine if self.log_beta is None else self.log_beta.exp() * cosine


class LocationAttention(Attention):
    """Location-based score (Luong et al. 2015, eq. 8); h_j does not enter it.

    Equation: α_i = softmax(W_a s_{i-1}), where row j of W_a belongs to source position j
    """

    def __init__(self, query_size: int, max_source_length: int) -> None:
        super().__init__()
        self.position = nn.Linear(query_size, max_source_length, bias=False)  # W_a

    def keys(self, memory: Tensor) -> Tensor:
        """Returns the memory itself. Raises ModelError if the source has more positions than W_a has rows."""
        length, limit = memory.size(1), self.position.out_features
        if length > limit:
            raise ModelError(
                f"a source has {length} pieces, but attention.score `location` was built for "
                f"attention.max_source_length {limit}; shorten the source or train with a larger limit"
            )
        return memory

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.position(query)[..., : keys.size(1)]  # (B, K, S)


class GeneralAttention(Attention):
    """Bilinear score (Luong et al. 2015, eq. 8).

    Equation: e_ij = s_{i-1}ᵀ W_a h_j, divided by √Q with `scale`
    """

    def __init__(self, memory_size: int, query_size: int, *, scale: bool) -> None:
        super().__init__()
        self.key = Linear(memory_size, query_size, bias=False)  # W_a
        self.factor = query_size**-0.5 if scale else 1.0

    def keys(self, memory: Tensor) -> Tensor:
        return self.key(memory) * self.factor  # (B, S, Q) W_a h_j

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2))  # (B, K, S)


class DotAttention(Attention):
    """Dot product of states of equal width (Luong et al. 2015, eq. 8).

    Equation: e_ij = s_{i-1} · h_j, divided by √Q with `scale`
    """

    def __init__(self, size: int, *, scale: bool) -> None:
        super().__init__()
        self.factor = size**-0.5 if scale else 1.0

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2)) * self.factor  # (B, K, S)
