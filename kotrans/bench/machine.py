"""What the machine is, what else it was doing, and how much memory this process had."""

import os
import platform
import sys
from pathlib import Path

import torch

from kotrans.bench.figures import Machine, MemoryFigures
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
