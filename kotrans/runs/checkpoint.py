"""Checkpoints: a folder with weights, optimizer state, progress, config and tokenizer, without pickle.

| file | contents |
| --- | --- |
| model.safetensors | the trained weights |
| average.safetensors | their exponential moving average (EMA) with `training.ema`; validation and translation use it |
| optimizer.safetensors | the optimizer's moments, for an exact resume |
| progress.json | the progress of training |
| config.yaml, tokenizer/, shortlist.safetensors | everything else that is needed to use the weights |
| manifest.json | the SHA-256 of each of these files, written last |
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kotrans.config.loading import dump_config
from kotrans.config.schema import Config
from kotrans.data.shortlist import FILE as SHORTLIST
from kotrans.data.shortlist import Shortlist
from kotrans.data.tokenizer import Tokenizer
from kotrans.errors import CheckpointError
from kotrans.model.build import assign_weights, build_without_weights
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.memory import memory_errors
from kotrans.runs.model_files import (
    TOKENIZER_KEY,
    inference_weights,
    load_model_files,
    parse_weights,
    read_progress,
)
from kotrans.runs.progress import Progress
from kotrans.storage.files import disk_errors, new_directory, write_json
from kotrans.storage.manifest import VerifiedFiles, damaged, unreadable, write_manifest

_CONSEQUENCE = "nothing was written"


class TrainingState(NamedTuple):
    """Everything that an update changes."""

    model: Seq2Seq
    ema: dict[str, Tensor] | None
    optimizer: torch.optim.Optimizer
    progress: Progress


class Checkpoint(NamedTuple):
    """A checkpoint loaded for inference, with the EMA of the weights if there is one."""

    model: Seq2Seq
    tokenizer: Tokenizer
    config: Config
    progress: Progress
    files_hash: str
    """Hash of the list of its files and their hashes."""
    shortlist: Shortlist | None


def save_checkpoint(
    folder: Path, state: TrainingState, config: Config, tokenizer: Tokenizer, shortlist: Shortlist | None = None
) -> None:
    """Writes a training checkpoint, all or nothing. Raises CheckpointError if the disk is full."""
    with disk_errors(folder, _CONSEQUENCE), new_directory(folder) as scratch:
        _save_weights(dict(state.model.named_parameters()), scratch / "model.safetensors", tokenizer)
        if state.ema is not None:
            _save_weights(state.ema, scratch / "average.safetensors", tokenizer)
        _save_tensors(_optimizer_tensors(state), scratch / "optimizer.safetensors")
        write_json(scratch / "progress.json", state.progress.as_dict())
        _write_description(scratch, config, tokenizer, shortlist)
        write_manifest(scratch)


def save_weights(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes a checkpoint for inference only, with these weights and everything else from `source`."""
    with disk_errors(folder, _CONSEQUENCE), new_directory(folder) as scratch:
        write_inference_files(scratch, weights, source)
        write_manifest(scratch)


def write_inference_files(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes the files that `load_checkpoint` reads, without the manifest."""
    _save_weights(weights, folder / "model.safetensors", source.tokenizer)
    write_json(folder / "progress.json", source.progress.as_dict())
    _write_description(folder, source.config, source.tokenizer, source.shortlist)


def load_checkpoint(path: Path, device: torch.device, config: Config | None = None) -> Checkpoint:
    """Loads a checkpoint or an exported model for inference, from its folder or a zip of it.

    Reads and verifies only the files needed. `config` is the config of the checkpoint if it was read before.
    Raises CheckpointError if a file is missing or damaged.
    """
    files = load_model_files(path, config)
    config, tokenizer = files.config, files.tokenizer
    try:
        model = build_without_weights(config, tokenizer.source.size, tokenizer.target.size)
    except RuntimeError:  # a size overflows
        raise CheckpointError(f"{path}: its config describes a model that does not fit into memory") from None
    weights = {name: torch.from_numpy(array) for name, array in files.weights.items()}
    _check_weights(weights, model, path)
    assign_weights(model, weights)
    with memory_errors(f"the weights of {path} on {device}", "use --set hardware.device=cpu", CheckpointError):
        model = model.to(device).eval()
    return Checkpoint(model, tokenizer, config, files.progress, files.files_hash, files.shortlist)


@contextmanager
def open_weights(folder: Path) -> Iterator[Callable[[str], Tensor]]:
    """Yields a function that reads a single tensor by name from the weights that `load_checkpoint` would load.

    Raises DamagedError if a file of the checkpoint is damaged.
    """
    files = VerifiedFiles(folder)
    files.verify()
    with safe_open(folder / inference_weights(files), "pt") as file:
        yield file.get_tensor


def restore_training(folder: Path, state: TrainingState, world: World = ALONE) -> TrainingState:
    """Loads a training checkpoint into `state` and returns the result; with several ranks, only rank 0 reads it.

    Raises DamagedError if it is damaged, CheckpointError if it cannot be read or belongs to another model.
    """
    progress = world.from_leader(lambda: _read_resumable(folder))
    saved = {
        file: world.tensors_from_leader(partial(_read_file, folder, file))
        for file in ("model", "optimizer", *(["average"] if state.ema is not None else []))
    }
    copy_weights(saved["model"], state.model, folder)
    _restore_optimizer(state, saved["optimizer"])
    ema = state.ema
    if ema is not None:
        ema = {name: saved["average"][name].to(value.device) for name, value in ema.items()}
    return TrainingState(state.model, ema, state.optimizer, progress)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Returns the weights that validation and translation use. Raises DamagedError if they are damaged."""
    files = VerifiedFiles(folder)
    name = inference_weights(files)
    return {key: torch.from_numpy(array) for key, array in parse_weights(files.read(name), folder, name).items()}


def _read_resumable(folder: Path) -> Progress:
    files = VerifiedFiles(folder)
    files.verify()
    if not (folder / "optimizer.safetensors").exists():
        raise CheckpointError(f"{folder}: holds weights only; resume from a training checkpoint")
    return read_progress(files)


def _read_file(folder: Path, file: str) -> dict[str, Tensor]:
    """Returns the tensors of `file`; an EMA that was just turned on starts from the weights."""
    path = folder / f"{file}.safetensors"
    return load_tensors(folder / "model.safetensors" if file == "average" and not path.exists() else path)


def verify(folder: Path) -> None:
    """Raises DamagedError if a file of the checkpoint is missing or was changed."""
    VerifiedFiles(folder).verify()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file. Raises DamagedError if it is not one, CheckpointError if it cannot be read."""
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError):
        raise damaged(path.parent, path.name) from None
    except OSError as error:
        raise unreadable(path, error) from None


def copy_weights(weights: Mapping[str, Tensor], model: nn.Module, folder: Path) -> None:
    """Copies weights into the model. Raises CheckpointError naming the first that does not fit; none is copied then."""
    _check_weights(weights, model, folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def _check_weights(weights: Mapping[str, Tensor], model: nn.Module, folder: Path) -> None:
    parameters = dict(model.named_parameters())
    if odd := sorted(weights.keys() ^ parameters.keys()):
        raise CheckpointError(f"{folder}: the weights do not belong to the model that the config describes ({odd[0]})")
    for name, parameter in parameters.items():
        if weights[name].shape != parameter.shape:
            raise CheckpointError(
                f"{folder}: {name} has shape {tuple(weights[name].shape)}, but {tuple(parameter.shape)} by the config"
            )


def _write_description(scratch: Path, config: Config, tokenizer: Tokenizer, shortlist: Shortlist | None) -> None:
    (scratch / "config.yaml").write_text(dump_config(config), encoding="utf-8", newline="\n")
    tokenizer.save(scratch / "tokenizer")
    if shortlist is not None:
        shortlist.save(scratch / SHORTLIST)


def _save_weights(weights: Mapping[str, Tensor], path: Path, tokenizer: Tokenizer) -> None:
    """Writes weights with the fingerprint of their tokenizer as metadata."""
    _save_tensors(weights, path, {TOKENIZER_KEY: tokenizer.fingerprint})


def _save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    path.touch()
    mode = path.stat().st_mode  # follows the umask; safetensors creates files that only their owner can read
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)
        path.chmod(mode)
    except SafetensorError as error:
        # The errno is only in the message: "I/O error: No space left on device (os error 28)".
        code = re.search(r"os error (\d+)", str(error))
        raise (OSError(int(code[1]), os.strerror(int(code[1]))) if code else OSError(str(error))) from None


def _optimizer_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Returns the optimizer's state by parameter name, so that the order of parameters does not matter."""
    names = {parameter: name for name, parameter in state.model.named_parameters()}
    optimizer: dict[nn.Parameter, dict[str, Tensor]] = state.optimizer.state  # type: ignore[assignment]
    return {
        f"{names[parameter]}/{key}": value for parameter, values in optimizer.items() for key, value in values.items()
    }


def _restore_optimizer(state: TrainingState, tensors: Mapping[str, Tensor]) -> None:
    parameters = dict(state.model.named_parameters())
    for name, value in tensors.items():
        parameter, _, key = name.partition("/")
        # All on the parameter's device: a fused optimizer also keeps its step count there.
        state.optimizer.state[parameters[parameter]][key] = value.to(parameters[parameter].device)
