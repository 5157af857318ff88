"""Device, precision and number of threads of PyTorch."""

import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError
from kotrans.parallel.cores import available_cores
from kotrans.parallel.processor import multiplies_bf16


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


def set_threads(config: HardwareConfig, processes: int = 1) -> int:
    """Sets and returns the number of CPU threads: the configured one, or the available cores divided by `processes`."""
    threads = config.threads or max(1, available_cores() // processes)
    torch.set_num_threads(threads)
    return threads
