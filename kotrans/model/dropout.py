"""Leaving things out in training, from random numbers that a caller can repeat.

Shape key: B sentences, T positions, E width.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class _RandomSource(threading.local):
    generator: torch.Generator | None = None  # None is the library's own, which all threads share


_source = _RandomSource()


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Inside the block, what this thread drops is drawn from `generator`."""
    before, _source.generator = _source.generator, generator
    try:
        yield
    finally:
        _source.generator = before


def draw(shape: tuple[int, ...], chance: float, device: torch.device) -> Tensor:
    """True (shape) with the given chance, from the thread's generator."""
    return torch.rand(shape, generator=_source.generator, device=device) < chance


class Dropout(nn.Module):
    """Zeroes elements with probability p in training and scales up the rest (Srivastava et al. 2014)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (…), dropped element by element."""
        if not self.training or self.p == 0:
            return inputs
        return inputs * self.mask(inputs)

    def mask(self, like: Tensor) -> Tensor:
        """What to multiply by: 0 or 1 / (1 - p), in the shape of `like`; p counts in steps of 2 ** -16."""
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = _random_bits(like) >= dropped - 2**15
        return (kept * (2**16 / (2**16 - dropped))).to(like.dtype)

    def sentence_mask(self, hidden: Tensor) -> Tensor | None:
        """One mask (B, H) for all steps of a sentence, or None when nothing is dropped."""
        return self.mask(hidden) if self.training and self.p > 0 else None


class WordDropout(nn.Module):
    """Zeroes whole embeddings with probability p in training (Sennrich et al. 2016, arXiv 1606.02891)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, embedded: Tensor) -> Tensor:
        """embedded (B, T, E). Kept pieces are not scaled up: a missing word is a missing word."""
        if not self.training or self.p == 0:
            return embedded
        return embedded.masked_fill(draw(embedded.shape[:2], self.p, embedded.device).unsqueeze(-1), 0)


def _random_bits(like: Tensor) -> Tensor:
    """Uniform int16 in the shape of `like`, four a draw: the library's Bernoulli takes several times as long."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device)
    return draws.random_(-(2**63), None, generator=_source.generator).view(torch.int16)[: like.numel()].view(like.shape)
