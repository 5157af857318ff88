"""What the machine is, what else it was doing, and how much memory this process had.

The machine's own speed limit: how fast it multiplies matrices when nothing else is asked of it.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from kotrans.bench.clock import rounds, synchronize
from kotrans.bench.figures import Machine, MemoryFigures, Peak
from kotrans.parallel.cores import available_cores


def describe_machine(device: torch.device) -> Machine:
    """The machine as it is now: to be asked before anything is measured, or the load would be our own."""
    return Machine(
        cpu=_cpu_name(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        cores=available_cores(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _cpu_name() -> str:
    """As the kernel names it, where there is /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def peak_memory(device: torch.device) -> MemoryFigures:
    """The most since the process began."""
    return MemoryFigures(_resident(), torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None)


def _resident() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux tells kibibytes


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
