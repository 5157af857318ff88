"""Dropout and word dropout, with random numbers from a generator of the calling thread.

Shape key: B sentences, T positions, E embedding width, H state width.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class _ThreadGenerator(threading.local):
    generator: torch.Generator | None = None  # None: the global generator


_current = _ThreadGenerator()


@contextmanager
def use_generator(generator: torch.Generator) -> Iterator[None]:
    """Inside the block, dropout in this thread draws from `generator`."""
    before, _current.generator = _current.generator, generator
    try:
        yield
    finally:
        _current.generator = before


def random_mask(shape: tuple[int, ...], chance: float, device: torch.device) -> Tensor:
    """Returns a tensor of booleans that are true with probability `chance`, drawn from the thread's generator."""
    return torch.rand(shape, generator=_current.generator, device=device) < chance


class Dropout(nn.Module):
    """Zeroes elements with probability p in training and scales the others by 1 / (1 - p) (Srivastava et al. 2014).

    p is rounded to a multiple of 2 ** -16.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns inputs of any shape with elements dropped."""
        if not self.training or self.p == 0:
            return inputs
        return inputs * self.mask(inputs)

    def mask(self, like: Tensor) -> Tensor:
        """Returns factors in the shape of `like`: 0 or 1 / (1 - p)."""
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = _random_bits(like) >= dropped - 2**15
        return (kept * (2**16 / (2**16 - dropped))).to(like.dtype)

    def sentence_mask(self, hidden: Tensor) -> Tensor | None:
        """Returns one mask (B, H) for all steps of each sentence, or None if nothing is dropped."""
        return self.mask(hidden) if self.training and self.p > 0 else None


class WordDropout(nn.Module):
    """Zeroes whole embeddings with probability p in training (Sennrich et al. 2016, arXiv 1606.02891)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, embedded: Tensor) -> Tensor:
        """Returns embedded (B, T, E) with positions dropped. The others are not scaled: a dropped word is missing."""
        if not self.training or self.p == 0:
            return embedded
        return embedded.masked_fill(random_mask(embedded.shape[:2], self.p, embedded.device).unsqueeze(-1), 0)


def _random_bits(like: Tensor) -> Tensor:
    """Returns uniform int16 in the shape of `like`, four per draw: faster than Bernoulli draws."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device)
    bits = draws.random_(-(2**63), None, generator=_current.generator).view(torch.int16)
    return bits[: like.numel()].view(like.shape)
