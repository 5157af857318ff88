"""The machine's own speed limit: how fast it multiplies matrices when nothing else is asked of it."""

import time
from collections.abc import Callable

import torch

from kotrans.bench.clock import rounds, synchronize
from kotrans.bench.figures import Peak

# Small ones fit a cache, large ones keep a card busy; which is fastest differs from machine to machine.
_SIZES = {"cpu": (512, 1024, 1536, 2048, 3072), "cuda": (2048, 4096, 8192, 16384), "mps": (1024, 2048, 4096)}


def matrix_peak(device: torch.device, precision: str, seconds: float, tell: Callable[[float], None]) -> Peak:
    """The best of several sizes, each the best of several products; `tell` hears the seconds spent."""
    sizes = _SIZES[device.type]
    found = []
    for done, size in enumerate(sizes):
        tell(seconds * done / len(sizes))
        fastest = _fastest_product(size, device, precision, seconds / len(sizes))
        found.append(Peak(2 * size**3 / fastest, size))
    tell(seconds)
    return max(found, key=lambda peak: peak.flops_per_second)


def _fastest_product(size: int, device: torch.device, precision: str, seconds: float) -> float:
    """Seconds of the fastest of at least three products (size, size) × (size, size), after one that is not counted."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    product = left @ right
    times = []
    for _ in rounds(seconds, 3):
        synchronize(device)
        began = time.perf_counter()
        torch.mm(left, right, out=product)
        synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times)
