"""The machine: its description, the memory of this process, and the speed of its fastest matrix product."""

import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from kotrans.bench.clock import device_time
from kotrans.bench.figures import Machine, MemoryFigures, Peak
from kotrans.parallel.cores import available_cores

# Matrix sizes: small ones fit a cache, large ones keep a GPU busy; which is fastest depends on the machine.
_SIZES = {"cpu": (512, 1024, 1536, 2048, 3072), "cuda": (2048, 4096, 8192, 16384), "mps": (1024, 2048, 4096)}
_FEWEST_PRODUCTS = 3  # that a measurement of one size takes


def describe_machine(device: torch.device) -> Machine:
    """Returns the machine and its load; call it before measuring, which raises the load."""
    return Machine(
        cpu=_cpu_name(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        cores=available_cores(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def peak_memory(device: torch.device) -> MemoryFigures:
    """Returns the peak memory since the process started."""
    cuda = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    if sys.platform == "win32":
        return MemoryFigures(None, cuda)
    import resource

    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return MemoryFigures(resident if sys.platform == "darwin" else resident * 1024, cuda)  # Linux reports KiB


def matrix_peak(
    device: torch.device, precision: str, seconds: float, report: Callable[[float], None], sizes: Sequence[int] = ()
) -> Peak:
    """Returns the speed of the fastest product over several sizes; `report` receives the seconds spent so far.

    sizes: of the square matrices, in ascending order (default: what suits the device).
    Sizes that would take much longer than `seconds` are left out: a CPU may have no fast product in this precision.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    sizes = sizes or _SIZES[device.type]
    rates: list[float] = []
    for number, size in enumerate(sizes):
        report(seconds * number / len(sizes))
        if rates and _FEWEST_PRODUCTS * 2 * size**3 / max(rates) > seconds:
            break
        left, right = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
        timer = Timer(
            "torch.mm(left, right, out=product)", globals={"left": left, "right": right, "product": left @ right},
            timer=lambda: device_time(device), num_threads=torch.get_num_threads(),
        )  # fmt: skip
        rates.append(2 * size**3 / min(timer.blocked_autorange(min_run_time=seconds / len(sizes)).times))
    report(seconds)
    return Peak(max(rates))
