"""Where it runs: device, precision, threads.

Memory that runs out, on any device, as one error with a remedy.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError, KotransError, TrainingError
from kotrans.parallel.cores import available_cores


def pick_device(config: HardwareConfig) -> torch.device:
    """The configured device; `auto` is CUDA, else the CPU. Raises ConfigError if it is not there.

    MPS is for those who ask for it, because nothing here was ever run on it.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if config.device == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available[config.device]:
        there = ", ".join(name for name, yes in available.items() if yes)
        raise ConfigError(f"hardware.device: {config.device} is not available on this machine; take {there} or auto")
    return torch.device(config.device)


def pick_training_precision(config: HardwareConfig, device: torch.device) -> str:
    """As `pick_precision`. Raises ConfigError for int8, too."""
    if config.precision == "int8":
        raise ConfigError("hardware.precision: int8 is for translating alone; train in bf16 or fp32")
    return pick_precision(config, device)


def pick_precision(config: HardwareConfig, device: torch.device) -> str:
    """fp32, bf16 or int8; `auto` is bf16 where the device multiplies matrices in it, else fp32.

    Raises ConfigError for int8 anywhere but on a CPU.
    """
    if config.precision == "int8" and device.type != "cpu":
        raise ConfigError(f"hardware.precision: int8 is for the CPU; take bf16 on {device.type}")
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and multiplies_bf16() else "fp32"


def multiplies_bf16(described: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies matrices in bfloat16 (AMX or AVX512-BF16); elsewhere it would be slower."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", described.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return False  # not Linux
    return flags is not None and not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags[1].split())


def set_threads(config: HardwareConfig, processes: int = 1) -> int:
    """Sets and gives the number of CPU threads: the configured one, or this process's part of the cores it may use."""
    threads = config.threads or max(1, available_cores() // processes)
    torch.set_num_threads(threads)
    return threads


# As the CPU, cuDNN and cuBLAS, and MPS say it; CUDA itself has an error of its own.
_OUT_OF_MEMORY = re.compile("can't allocate memory|ALLOC_FAILED|out of memory", re.IGNORECASE)


@contextmanager
def memory_errors(what: str, remedy: str, kind: type[KotransError] = TrainingError) -> Iterator[None]:
    """Inside the block, memory that runs out becomes an error of this kind: what was being done, and what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise kind(f"out of memory ({what}); {remedy}") from None
