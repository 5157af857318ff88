"""A checkpoint: a folder with weights, optimizer, progress, config and tokenizer; no pickle anywhere.

| file | what |
| --- | --- |
| model.safetensors | the weights that are trained |
| average.safetensors | their exponential moving average, if `training.ema` is on: what validation and translation use |
| optimizer.safetensors | the optimizer's moments, for an exact resume |
| progress.json | where training stands |
| config.yaml, tokenizer/ | everything else that is needed to use the weights |
| manifest.json | the SHA-256 of each of these, written last |
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn

from kotrans.config.loading import check_config, dump_config, parse_yaml
from kotrans.config.schema import Config
from kotrans.data.tokenizer import Tokenizer, TokenizerManifest
from kotrans.errors import CheckpointError, ConfigError, DataError
from kotrans.model.build import assign_weights, build_without_weights
from kotrans.model.kernels.quantization import restored
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.device import memory_errors
from kotrans.parallel.distributed import ALONE, World
from kotrans.runs.progress import Progress
from kotrans.storage.files import disk_errors, new_directory, write_json
from kotrans.storage.manifest import VerifiedFiles, damaged, unreadable, write_manifest

_UNHARMED = "nothing of it was kept"
_TOKENIZER = "tokenizer"  # in the metadata of a file of weights: the fingerprint of its tokenizer


class TrainingState(NamedTuple):
    """What changes from update to update."""

    model: Seq2Seq
    average: dict[str, Tensor] | None
    optimizer: torch.optim.Optimizer
    progress: Progress


class Checkpoint(NamedTuple):
    """A checkpoint read for use: the averaged weights where there are any."""

    model: Seq2Seq
    tokenizer: Tokenizer
    config: Config
    progress: Progress


def save_checkpoint(folder: Path, state: TrainingState, config: Config, tokenizer: Tokenizer) -> None:
    """Writes a checkpoint all or nothing. Raises CheckpointError if the disk is full."""
    with disk_errors(folder, _UNHARMED), new_directory(folder) as scratch:
        _save_weights(dict(state.model.named_parameters()), scratch / "model.safetensors", tokenizer)
        if state.average is not None:
            _save_weights(state.average, scratch / "average.safetensors", tokenizer)
        _save_tensors(_optimizer_tensors(state), scratch / "optimizer.safetensors")
        write_json(scratch / "progress.json", asdict(state.progress))
        _write_description(scratch, config, tokenizer)
        write_manifest(scratch)


def save_weights(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes a checkpoint for use only (not for resuming), with these weights and the rest from `source`."""
    with disk_errors(folder, _UNHARMED), new_directory(folder) as scratch:
        write_for_use(scratch, weights, source)
        write_manifest(scratch)


def write_for_use(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes what `load_checkpoint` reads into a folder that is to be sealed."""
    _save_weights(weights, folder / "model.safetensors", source.tokenizer)
    write_json(folder / "progress.json", asdict(source.progress))
    _write_description(folder, source.config, source.tokenizer)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Reads a checkpoint or an exported model for translation, from its folder or a zip of it.

    Reads and verifies only the files that translation needs. Raises CheckpointError if one is missing or damaged.
    """
    sealed = VerifiedFiles(path)
    config, tokenizer = read_config(sealed), _read_tokenizer(sealed)
    try:
        model = build_without_weights(config, tokenizer.source.size, tokenizer.target.size)
    except RuntimeError:  # a size overflows
        raise CheckpointError(f"{path}: its config describes a model that does not fit into memory") from None
    name = _weights_for_use(sealed)
    data = sealed.read(name)
    _check_vocabulary(data, tokenizer, path, name)
    weights = _parse_weights(data, path, name)
    del data
    _check_weights(weights, model, path)
    assign_weights(model, weights)
    with memory_errors(f"the weights of {path} on {device}", "take --set hardware.device=cpu", CheckpointError):
        model = model.to(device).eval()
    return Checkpoint(model, tokenizer, config, _read_progress(sealed))


@contextmanager
def opened_weights(folder: Path) -> Iterator[Callable[[str], Tensor]]:
    """A function that reads one tensor at a time, by name, of those that `load_checkpoint` would read.

    Raises DamagedError if a file of the checkpoint is damaged.
    """
    sealed = VerifiedFiles(folder)
    sealed.verify()
    with safe_open(folder / _weights_for_use(sealed), "pt") as file:
        yield file.get_tensor


def restore_training(folder: Path, state: TrainingState, world: World = ALONE) -> TrainingState:
    """Puts the saved state into this one; of several ranks, rank 0 alone reads the folder.

    Raises DamagedError if it is damaged, CheckpointError if it cannot be read or is another model's.
    """
    progress = world.from_leader(lambda: _read_resumable(folder))
    saved = {
        file: world.tensors_from_leader(partial(_read_file, folder, file))
        for file in ("model", "optimizer", *(["average"] if state.average is not None else []))
    }
    copy_weights(saved["model"], state.model, folder)
    _restore_optimizer(state, saved["optimizer"])
    average = state.average
    if average is not None:
        average = {name: saved["average"][name].to(value.device) for name, value in average.items()}
    return TrainingState(state.model, average, state.optimizer, progress)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint that validation and translation use. Raises DamagedError if they are damaged."""
    sealed = VerifiedFiles(folder)
    name = _weights_for_use(sealed)
    return _parse_weights(sealed.read(name), folder, name)


def _read_resumable(folder: Path) -> Progress:
    sealed = VerifiedFiles(folder)
    sealed.verify()
    if not (folder / "optimizer.safetensors").exists():
        raise CheckpointError(f"{folder}: holds weights only; training can be resumed from a training checkpoint")
    return _read_progress(sealed)


def _read_file(folder: Path, file: str) -> dict[str, Tensor]:
    """The average, if it is switched on only now, starts from the weights, as at the start of a run."""
    path = folder / f"{file}.safetensors"
    return load_tensors(folder / "model.safetensors" if file == "average" and not path.exists() else path)


def verify(folder: Path) -> None:
    """Raises DamagedError unless every file of the checkpoint is there and is what was written."""
    VerifiedFiles(folder).verify()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises DamagedError if it is not one, CheckpointError if it cannot be read."""
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError):
        raise damaged(path.parent, path.name) from None
    except OSError as error:
        raise unreadable(path, error) from None


def copy_weights(weights: Mapping[str, Tensor], model: nn.Module, folder: Path) -> None:
    """Copies weights into the model. Raises CheckpointError for the first weight that does not fit."""
    _check_weights(weights, model, folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def _check_weights(weights: Mapping[str, Tensor], model: nn.Module, folder: Path) -> None:
    parameters = dict(model.named_parameters())
    if odd := sorted(weights.keys() ^ parameters.keys()):
        raise CheckpointError(f"{folder}: its weights are another model's than its config describes ({odd[0]})")
    for name, parameter in parameters.items():
        if weights[name].shape != parameter.shape:
            raise CheckpointError(
                f"{folder}: {name} is {tuple(weights[name].shape)} but the config makes it {tuple(parameter.shape)}"
            )


def _write_description(scratch: Path, config: Config, tokenizer: Tokenizer) -> None:
    (scratch / "config.yaml").write_text(dump_config(config), encoding="utf-8", newline="\n")
    tokenizer.save(scratch / "tokenizer")


def read_config(sealed: VerifiedFiles) -> Config:
    """The config of a checkpoint. Raises CheckpointError if it is damaged or another version's."""
    where = sealed.path / "config.yaml"
    try:
        return check_config(parse_yaml(sealed.read("config.yaml"), where), str(where))
    except (ConfigError, DataError) as error:
        raise CheckpointError(f"{sealed.path}: made by another version of kotrans ({error})") from None


def _read_tokenizer(sealed: VerifiedFiles) -> Tokenizer:
    try:
        manifest = TokenizerManifest.model_validate_json(sealed.read("tokenizer/manifest.json"))
        models = {name: sealed.read(f"tokenizer/{name}") for name in manifest.models}
        if odd := next(
            (name for name, data in models.items() if hashlib.sha256(data).hexdigest() != manifest.models[name]), None
        ):
            raise damaged(sealed.path, f"tokenizer/{odd}")
        return Tokenizer(models, manifest)
    except (ValidationError, KeyError, RuntimeError):  # of sentencepiece, for a file that is no model
        raise damaged(sealed.path, "tokenizer") from None


def _weights_for_use(sealed: VerifiedFiles) -> str:
    """The file of the averaged weights where there is one."""
    return "average.safetensors" if "average.safetensors" in sealed.files else "model.safetensors"


def _parse_weights(data: bytes, path: Path, name: str) -> dict[str, Tensor]:
    try:
        return restored(load(data))
    except (SafetensorError, ValueError):
        raise damaged(path, name) from None


def _check_vocabulary(weights: bytes, tokenizer: Tokenizer, path: Path, name: str) -> None:
    """Another vocabulary of the same size would fit the weights and translate to nonsense."""
    try:
        length = int.from_bytes(weights[:8], "little")
        metadata = json.loads(weights[8 : 8 + length]).get("__metadata__", {})
        trained_with = metadata.get(_TOKENIZER, tokenizer.fingerprint)  # older versions did not say
    except (ValueError, AttributeError, RecursionError):
        raise damaged(path, name) from None
    if trained_with != tokenizer.fingerprint:
        raise CheckpointError(
            f"{path}: its weights were trained with another tokenizer ({trained_with}) than lies beside them "
            f"({tokenizer.fingerprint}); put theirs back, or copy the whole checkpoint again"
        )


def _read_progress(sealed: VerifiedFiles) -> Progress:
    try:
        return Progress.parse(sealed.read("progress.json"))
    except (ValueError, TypeError):
        raise damaged(sealed.path, "progress.json") from None


def _save_weights(weights: Mapping[str, Tensor], path: Path, tokenizer: Tokenizer) -> None:
    """Weights with the name of the vocabulary that they belong to."""
    _save_tensors(weights, path, {_TOKENIZER: tokenizer.fingerprint})


def _save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    path.touch()
    mode = path.stat().st_mode  # as the umask has it; safetensors would make a file that only its owner may read
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)
        path.chmod(mode)
    except SafetensorError as error:
        # It says what the system said in words only: "I/O error: No space left on device (os error 28)".
        code = re.search(r"os error (\d+)", str(error))
        raise (OSError(int(code[1]), os.strerror(int(code[1]))) if code else OSError(str(error))) from None


def _optimizer_tensors(state: TrainingState) -> dict[str, Tensor]:
    """The optimizer's state by parameter name, so that it does not hang on the order of parameters."""
    names = {parameter: name for name, parameter in state.model.named_parameters()}
    optimizer: dict[nn.Parameter, dict[str, Tensor]] = state.optimizer.state  # type: ignore[assignment]
    return {
        f"{names[parameter]}/{key}": value for parameter, values in optimizer.items() for key, value in values.items()
    }


def _restore_optimizer(state: TrainingState, tensors: Mapping[str, Tensor]) -> None:
    parameters = dict(state.model.named_parameters())
    for name, value in tensors.items():
        parameter, _, key = name.partition("/")
        # The step count, too: a fused optimizer keeps it beside the weights.
        state.optimizer.state[parameters[parameter]][key] = value.to(parameters[parameter].device)
