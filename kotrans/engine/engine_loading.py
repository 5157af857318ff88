"""Chooses the engine for a machine and loads models into it."""

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from kotrans.config.schema import Config, HardwareConfig
from kotrans.data.shortlist import require_shortlist
from kotrans.data.tokenizer import Tokenizer
from kotrans.engine.stepper import Stepper
from kotrans.errors import ConfigError, ModelError
from kotrans.parallel.cores import available_cores
from kotrans.parallel.processor import multiplies_bf16
from kotrans.runs.model_files import ModelFiles

logger = logging.getLogger(__name__)
EngineName = Literal["torch", "onnxruntime"]


class Member(NamedTuple):
    """What a translator needs to know of a model besides its weights."""

    tokenizer: Tokenizer
    config: Config
    files_hash: str


class LoadedEngine(NamedTuple):
    """An engine with its models."""

    stepper: Stepper[Any]
    members: tuple[Member, ...]
    name: EngineName
    device: str
    precision: str
    threads: int
    """Number of batches to search at once: one thread each."""


class SavedMember(Protocol):
    """A model on disk."""

    def load_files(self) -> ModelFiles:
        """Reads it without torch."""
        ...

    def load(self, device: Any) -> Any:
        """Reads it as `kotrans.runs.checkpoint.Checkpoint`."""
        ...


def load_engine(models: Sequence[SavedMember], hardware: HardwareConfig, shortlist: int | None = None) -> LoadedEngine:
    """Loads one model, or several as an ensemble. shortlist: `search.shortlist`.

    Raises CheckpointError if one is damaged, ConfigError if the device, precision or engine is not available, or
    ModelError if the vocabularies differ.
    """
    if choose_engine(hardware) == "onnxruntime":
        return _load_onnx(models, hardware, shortlist)
    if shortlist is not None:
        logger.warning("search.shortlist is only for onnxruntime on a CPU; searching among all pieces")
    return _load_torch(models, hardware)


def choose_engine(hardware: HardwareConfig) -> EngineName:
    """Returns the engine for the settings and this machine: onnxruntime on CPUs, torch on GPUs.

    Raises ConfigError if the configured engine does not support the device or precision.
    """
    if hardware.engine == "torch":
        return "torch"
    reason = _reason_for_torch(hardware)
    if hardware.engine == "onnxruntime":
        if reason:
            raise ConfigError(f"hardware.engine: onnxruntime {reason}; use auto or torch")
        return "onnxruntime"
    if reason and hardware.device == "cpu":
        logger.info("translating with torch: onnxruntime %s", reason)
    return "torch" if reason else "onnxruntime"


def _reason_for_torch(hardware: HardwareConfig) -> str | None:
    if hardware.device in ("cuda", "mps") or (hardware.device == "auto" and _has_cuda()):
        return "is only for CPUs here"
    if find_spec("onnxruntime") is None:
        return "is not installed"
    if hardware.precision == "bf16":
        return "has no bf16 products on CPUs"
    return None


def _has_cuda() -> bool:
    """Returns whether PyTorch finds a GPU; imports it only if the machine has an NVIDIA driver."""
    windows = Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32/nvcuda.dll"
    driver = windows.exists() if sys.platform == "win32" else Path("/proc/driver/nvidia/version").exists()
    if not driver or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _load_onnx(models: Sequence[SavedMember], hardware: HardwareConfig, size: int | None) -> LoadedEngine:
    from kotrans.engine.model_weights import ModelWeights
    from kotrans.engine.onnx_engine import OnnxEngine
    from kotrans.engine.precision import pick_precision

    files = [model.load_files() for model in models]
    members = tuple(Member(each.tokenizer, each.config, each.files_hash) for each in files)
    _check_vocabularies(members)
    precision = pick_precision(hardware, members[0].config)
    found = require_shortlist(files[0].shortlist, size, files[0].path)
    shortlist = None if found is None or size is None else partial(found.pieces, size=size)
    weights = [ModelWeights(each.weights, each.config, each.path) for each in files]
    vocabulary = members[0].tokenizer
    engine = OnnxEngine(
        weights,
        vocabulary.source.size,
        vocabulary.target.size,
        largest=precision.largest,
        shortlist=shortlist,
    )
    return LoadedEngine(engine, members, "onnxruntime", "cpu", precision.name, hardware.threads or available_cores())


def _load_torch(models: Sequence[SavedMember], hardware: HardwareConfig) -> LoadedEngine:
    import torch

    from kotrans.engine.torch_engine import TorchEngine
    from kotrans.parallel.device import pick_device, pick_precision, set_threads
    from kotrans.parallel.memory import memory_errors

    threads = set_threads(hardware)
    device = pick_device(hardware)
    precision = pick_precision(hardware, device)
    if precision == "int8":
        raise ConfigError("hardware.precision: int8 needs hardware.engine: onnxruntime on a CPU; use fp32 or bf16")
    if precision == "bf16" and device.type == "cpu" and not multiplies_bf16():
        logger.warning("this processor has no bf16 products, so that bf16 is slower than fp32; translating in fp32")
        precision = "fp32"
    with memory_errors("loading the model", f"free some of the memory of {device}"):
        checkpoints = [model.load(device) for model in models]
    members = tuple(Member(each.tokenizer, each.config, each.files_hash) for each in checkpoints)
    _check_vocabularies(members)
    engine = TorchEngine([each.model for each in checkpoints], torch.bfloat16 if precision == "bf16" else None)
    return LoadedEngine(engine, members, "torch", device.type, precision, threads if device.type == "cpu" else 1)


def _check_vocabularies(members: Sequence[Member]) -> None:
    first = members[0]
    for other in members[1:]:
        if other.tokenizer.fingerprint != first.tokenizer.fingerprint:
            raise ModelError(
                f"an ensemble needs one vocabulary, but {first.config.name} and {other.config.name} have tokenizers "
                f"{first.tokenizer.fingerprint} and {other.tokenizer.fingerprint}"
            )
