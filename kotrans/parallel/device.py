"""Device, precision and number of threads, and errors of exhausted memory."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError, KotransError, TrainingError
from kotrans.parallel.cores import available_cores

# Messages of the CPU allocator, cuDNN and cuBLAS, and MPS. CUDA has an exception type of its own.
_OUT_OF_MEMORY = re.compile("can't allocate memory|ALLOC_FAILED|out of memory", re.IGNORECASE)


def pick_device(config: HardwareConfig) -> torch.device:
    """Returns the configured device. `auto` is CUDA if available, else the CPU. MPS is untested and never automatic.

    Raises ConfigError if the device is not available.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if config.device == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available[config.device]:
        names = ", ".join(name for name, is_available in available.items() if is_available)
        raise ConfigError(f"hardware.device: {config.device} is not available on this machine; use {names} or auto")
    return torch.device(config.device)


def pick_training_precision(config: HardwareConfig, device: torch.device) -> str:
    """Returns the precision as `pick_precision` does. Raises ConfigError also for int8."""
    if config.precision == "int8":
        raise ConfigError("hardware.precision: int8 is only for translation; train in bf16 or fp32")
    return pick_precision(config, device)


def pick_precision(config: HardwareConfig, device: torch.device) -> str:
    """Returns fp32, bf16 or int8. `auto` is bf16 if the device has bf16 matrix products, else fp32.

    Raises ConfigError for int8 on a device other than the CPU.
    """
    if config.precision == "int8" and device.type != "cpu":
        raise ConfigError(f"hardware.precision: int8 is only for the CPU; use bf16 on {device.type}")
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and multiplies_bf16() else "fp32"


def multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Returns whether the CPU has bf16 matrix instructions (AMX or AVX512-BF16); without them bf16 is slower."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return False  # not Linux
    return flags is not None and not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags[1].split())


def set_threads(config: HardwareConfig, processes: int = 1) -> int:
    """Sets and returns the number of CPU threads: the configured one, or the available cores divided by `processes`."""
    threads = config.threads or max(1, available_cores() // processes)
    torch.set_num_threads(threads)
    return threads


@contextmanager
def memory_errors(what: str, remedy: str, kind: type[KotransError] = TrainingError) -> Iterator[None]:
    """Inside the block, exhausted memory of any device becomes an error of this type.

    what: the operation, for the message. remedy: what to do, for the message.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise kind(f"out of memory ({what}); {remedy}") from None
