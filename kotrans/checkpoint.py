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

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn

from kotrans.batching import Position
from kotrans.config.config import Config
from kotrans.config.loading import check_config, dump_config, parse_yaml
from kotrans.distributed import ALONE, World
from kotrans.errors import CheckpointError, ConfigError, DataError
from kotrans.files import disk_errors, new_directory, write_json
from kotrans.model.build import build_unfilled
from kotrans.model.seq2seq import Seq2Seq
from kotrans.precision import restored
from kotrans.sealed import Sealed, damaged, seal
from kotrans.tokenizer import Tokenizer, TokenizerManifest

_UNHARMED = "nothing of it was kept, earlier checkpoints are whole"


@dataclass(frozen=True)
class Progress:
    """Where training stands after an update; with the states beside it, all that a resume needs."""

    update: int = 0
    epoch: int = 0
    block: int = 0  # blocks of this epoch that have been trained on
    batch: int = 0  # batches of the block after them that have been trained on
    target_tokens: int = 0
    minutes: float = 0.0
    best_update: int | None = None
    best_bleu: float | None = None
    best_perplexity: float | None = None
    stale_validations: int = 0  # since the best
    rate_factor: float = 1.0  # what `plateau` has made of the learning rate
    stale_at_rate: int = 0  # validations without improvement since the rate last fell
    ranks: int = 1  # processes that trained together
    batch_tokens: int | None = None  # batches.tokens, which says how much `batch` is; None in older checkpoints

    @property
    def position(self) -> Position:
        """The next batch."""
        return Position(self.epoch, self.block, self.batch)

    @property
    def is_within_epoch(self) -> bool:
        """True if some of the epoch's batches have been trained on."""
        return self.block > 0 or self.batch > 0


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
        _save_tensors(dict(state.model.named_parameters()), scratch / "model.safetensors")
        if state.average is not None:
            _save_tensors(state.average, scratch / "average.safetensors")
        _save_tensors(_optimizer_tensors(state), scratch / "optimizer.safetensors")
        write_json(scratch / "progress.json", asdict(state.progress))
        _write_description(scratch, config, tokenizer)
        seal(scratch)


def save_weights(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes a checkpoint for use only (not for resuming), with these weights and the rest from `source`."""
    with disk_errors(folder, _UNHARMED), new_directory(folder) as scratch:
        write_for_use(scratch, weights, source)
        seal(scratch)


def write_for_use(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes what `load_checkpoint` reads into a folder that is to be sealed."""
    _save_tensors(weights, folder / "model.safetensors")
    write_json(folder / "progress.json", asdict(source.progress))
    _write_description(folder, source.config, source.tokenizer)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Reads a checkpoint or an exported model for use: its folder, or the zip of one.

    Only what is used is read, and all of that is checked. Raises CheckpointError if it is missing or damaged.
    """
    sealed = Sealed(path)
    config, tokenizer = read_config(sealed), _read_tokenizer(sealed)
    try:
        model = build_unfilled(config, tokenizer.source.size, tokenizer.target.size)
    except RuntimeError:  # the weights are smaller: a config that was not made with them
        raise CheckpointError(f"{path}: its config describes a model that does not fit into memory") from None
    averaged = "average.safetensors" in sealed.files
    copy_weights(_read_weights(sealed, "average.safetensors" if averaged else "model.safetensors"), model, path)
    return Checkpoint(model.to(device).eval(), tokenizer, config, _read_progress(sealed))


def restore_training(folder: Path, state: TrainingState, world: World = ALONE) -> TrainingState:
    """Puts the saved state into this one; of several ranks, rank 0 alone reads the folder.

    Raises CheckpointError if it is damaged or another model's.
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


def _read_resumable(folder: Path) -> Progress:
    sealed = Sealed(folder)
    sealed.verify()
    if not (folder / "optimizer.safetensors").exists():
        raise CheckpointError(f"{folder}: holds weights only; training can be resumed from a training checkpoint")
    return _read_progress(sealed)


def _read_file(folder: Path, file: str) -> dict[str, Tensor]:
    """The average, if it is switched on only now, starts from the weights, as at the start of a run."""
    path = folder / f"{file}.safetensors"
    return load_tensors(folder / "model.safetensors" if file == "average" and not path.exists() else path)


def verify(folder: Path) -> None:
    """Raises CheckpointError unless every file of the checkpoint is there and is what was written."""
    Sealed(folder).verify()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises CheckpointError if it is not one."""
    try:
        return load_file(path)
    except (SafetensorError, OSError):
        raise damaged(path.parent, path.name) from None


def copy_weights(weights: Mapping[str, Tensor], model: nn.Module, folder: Path) -> None:
    """Copies weights into the model. Raises CheckpointError naming the first that does not fit."""
    parameters = dict(model.named_parameters())
    if odd := sorted(weights.keys() ^ parameters.keys()):
        raise CheckpointError(f"{folder}: its weights are another model's than its config describes ({odd[0]})")
    for name, parameter in parameters.items():
        if weights[name].shape != parameter.shape:
            raise CheckpointError(
                f"{folder}: {name} is {tuple(weights[name].shape)} but the config makes it {tuple(parameter.shape)}"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def _write_description(scratch: Path, config: Config, tokenizer: Tokenizer) -> None:
    (scratch / "config.yaml").write_text(dump_config(config), encoding="utf-8", newline="\n")
    tokenizer.save(scratch / "tokenizer")


def read_config(sealed: Sealed) -> Config:
    """The config of a checkpoint. Raises CheckpointError if it is damaged or another version's."""
    where = sealed.path / "config.yaml"
    try:
        return check_config(parse_yaml(sealed.read("config.yaml"), where), str(where))
    except (ConfigError, DataError) as error:
        raise CheckpointError(f"{sealed.path}: made by another version of kotrans ({error})") from None


def _read_tokenizer(sealed: Sealed) -> Tokenizer:
    try:
        manifest = TokenizerManifest.model_validate_json(sealed.read("tokenizer/manifest.json"))
        return Tokenizer({name: sealed.read(f"tokenizer/{name}") for name in manifest.models}, manifest)
    except (ValidationError, KeyError, RuntimeError):  # of sentencepiece, for a file that is no model
        raise damaged(sealed.path, "tokenizer") from None


def _read_weights(sealed: Sealed, name: str) -> dict[str, Tensor]:
    try:
        return restored(load(sealed.read(name)))
    except (SafetensorError, ValueError):
        raise damaged(sealed.path, name) from None


def _read_progress(sealed: Sealed) -> Progress:
    try:
        values = json.loads(sealed.read("progress.json"))
        values.pop("best_value", None)  # of older checkpoints
        return Progress(**values)
    except (ValueError, TypeError, AttributeError):
        raise damaged(sealed.path, "progress.json") from None


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
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
