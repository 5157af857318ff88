"""Where a target step looks: five score functions over the encoder's states, or one fixed context.

Shape key: B sentences, K decoder states that look at one sentence, S source positions, H width of an encoder state
(memory), Q width of the decoder state, A width of a key.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.errors import ModelError
from kotrans.model.kernels.products import Linear

# The gradient of a direction grows as its vector shrinks. The first state of a one-way encoder is 0 when its piece was
# dropped; without a floor under the length the gradient was 1e11 there.
SHORTEST = 1e-3
_BLOCK = 2**18  # elements: 1 MiB in float32, half the cache of a core


class Attention(nn.Module):
    """Turns scores e_ij = score(s_{i-1}, h_j) into weights and a context.

    alpha_ij = exp(e_ij) / sum_k exp(e_ik) over real source positions, padding gets exactly 0;
    c_i = sum_j alpha_ij h_j  (Bahdanau et al. 2015, section 3.1).
    """

    def keys(self, memory: Tensor) -> Tensor:
        """The part of the score that no target step changes, once a sentence: (B, S, A) from memory (B, S, H)."""
        return memory

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """e_ij (B, K, S) of the states query (B, K, Q) with keys (B, S, A)."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts (B, K, H) and weights (B, K, S) of query (B, K, Q); mask (B, S) is true on real pieces."""
        scores = self.scores(query, keys)  # (B, K, S)
        # In float32 at least: autocast on the CPU would let weights of bfloat16 sum to 1 only roughly.
        precision = torch.promote_types(scores.dtype, torch.float32)
        weights = scores.masked_fill(~mask.unsqueeze(1), -math.inf).softmax(-1, dtype=precision)  # (B, K, S)
        return torch.bmm(weights.to(memory.dtype), memory), weights


class AdditiveAttention(Attention):
    """v_a . tanh(W_s s + W_h h)  (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, memory_size: int, query_size: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, size, bias=False)  # W_s
        self.key = Linear(memory_size, size, bias=False)  # W_h
        self.energy = nn.Linear(size, 1, bias=False)  # v_a

    def keys(self, memory: Tensor) -> Tensor:
        return self.key(memory)  # (B, S, A)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        asked = self.query(query).unsqueeze(2)  # (B, K, 1, A)
        tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if torch.is_grad_enabled() or tracing or not keys.is_cpu:
            return self._energies(asked, keys.unsqueeze(1))
        # A few sentences at a time, so that what is made for them stays in the core's cache.
        rows = max(1, _BLOCK // max(1, asked.size(1) * keys[:1].numel()))
        blocks = zip(asked.split(rows), keys.unsqueeze(1).split(rows), strict=True)
        return torch.cat([self._energies(*block) for block in blocks])  # (B, K, S)

    def _energies(self, asked: Tensor, keys: Tensor) -> Tensor:
        """(B, K, S) of asked (B, K, 1, A) and keys (B, 1, S, A)."""
        hidden = (asked + keys).tanh_()  # (B, K, S, A)
        return functional.linear(hidden, self.energy.weight.to(hidden.dtype)).squeeze(-1)


class CosineAttention(Attention):
    """beta . cos(s, h)  (Graves et al. 2014, section 3.3.1): content-based addressing with key strength beta.

    beta is one positive learned number, or fixed at 1, the bare formula. States of another width than s are
    projected to it. A vector shorter than SHORTEST counts as that long.
    """

    def __init__(self, memory_size: int, query_size: int, *, learned_beta: bool) -> None:
        super().__init__()
        self.key = Linear(memory_size, query_size, bias=False) if memory_size != query_size else nn.Identity()
        # A cosine lies in [-1, 1]: from beta = 1 the weights start almost uniform and hardly learn.
        self.log_beta = nn.Parameter(torch.tensor(math.log(8.0))) if learned_beta else None

    def keys(self, memory: Tensor) -> Tensor:
        return functional.normalize(self.key(memory), dim=-1, eps=SHORTEST)  # (B, S, Q)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        direction = functional.normalize(query, dim=-1, eps=SHORTEST).to(keys.dtype)  # (B, K, Q)
        cosine = torch.bmm(direction, keys.transpose(1, 2))  # (B, K, S)
        return cosine if self.log_beta is None else self.log_beta.exp() * cosine


class LocationAttention(Attention):
    """alpha = softmax(W_a s): row j of W_a belongs to position j, whatever stands there (Luong et al. 2015, eq. 8)."""

    def __init__(self, query_size: int, max_source_length: int) -> None:
        super().__init__()
        self.position = nn.Linear(query_size, max_source_length, bias=False)  # W_a

    def keys(self, memory: Tensor) -> Tensor:
        """The memory itself. Raises ModelError if the source is longer than the positions there are."""
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
    """s . W_a h  (Luong et al. 2015, eq. 8)."""

    def __init__(self, memory_size: int, query_size: int, *, scale: bool) -> None:
        super().__init__()
        self.key = Linear(memory_size, query_size, bias=False)  # W_a
        self.factor = query_size**-0.5 if scale else 1.0

    def keys(self, memory: Tensor) -> Tensor:
        return self.key(memory) * self.factor  # (B, S, Q)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2))  # (B, K, S)


class DotAttention(Attention):
    """s . h  (Luong et al. 2015, eq. 8), for states of equal width."""

    def __init__(self, size: int, *, scale: bool) -> None:
        super().__init__()
        self.factor = size**-0.5 if scale else 1.0

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(query.to(keys.dtype), keys.transpose(1, 2)) * self.factor  # (B, K, S)
