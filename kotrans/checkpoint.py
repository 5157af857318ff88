"""A checkpoint: a folder with weights, optimizer, progress, config and tokenizer; no pickle anywhere.

| file | what |
| --- | --- |
| model.safetensors | the weights that are trained |
| average.safetensors | their exponential moving average, if `training.ema` is on: what validation and translation use |
| optimizer.safetensors | the optimizer's moments, for an exact resume |
| progress.json | where training stands |
| config.yaml, tokenizer/ | everything else that is needed to use the weights |
| manifest.json | size and SHA-256 of each of these, written last |
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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kotrans.batching import Position
from kotrans.config.config import Config
from kotrans.config.loading import dump_config, load_config
from kotrans.distributed import ALONE, World
from kotrans.errors import CheckpointError, ConfigError, DataError
from kotrans.files import disk_errors, new_directory, sha256, write_json
from kotrans.model.build import build_model
from kotrans.model.seq2seq import Seq2Seq
from kotrans.tokenizer import Tokenizer

_FORMAT = 1  # of the folder: raise it when it changes, so that other versions refuse it
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
    best_value: float | None = None  # of validation.metric
    best_bleu: float | None = None
    best_perplexity: float | None = None
    stale_validations: int = 0  # since the best
    rate_factor: float = 1.0  # what `plateau` has made of the learning rate
    stale_at_rate: int = 0  # validations without improvement since the rate last fell
    ranks: int = 1  # processes that trained together

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


def save_weights(folder: Path, weights: Mapping[str, Tensor], source: Checkpoint) -> None:
    """Writes a checkpoint for use only (not for resuming), with these weights and the rest from `source`."""
    with disk_errors(folder, _UNHARMED), new_directory(folder) as scratch:
        _save_tensors(weights, scratch / "model.safetensors")
        write_json(scratch / "progress.json", asdict(source.progress))
        _write_description(scratch, source.config, source.tokenizer)


def load_checkpoint(folder: Path, device: torch.device) -> Checkpoint:
    """Reads a checkpoint for use. Raises CheckpointError if it is missing or damaged."""
    verify(folder)
    config = _read_config(folder)
    tokenizer = Tokenizer.load(folder / "tokenizer")
    model = build_model(config, tokenizer.source.size, tokenizer.target.size)
    averaged = folder / "average.safetensors"
    copy_weights(load_tensors(averaged if averaged.exists() else folder / "model.safetensors"), model, folder)
    return Checkpoint(model.to(device).eval(), tokenizer, config, _read_progress(folder))


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
    verify(folder)
    if not (folder / "optimizer.safetensors").exists():
        raise CheckpointError(f"{folder}: holds weights only; training can be resumed from a training checkpoint")
    return _read_progress(folder)


def _read_file(folder: Path, file: str) -> dict[str, Tensor]:
    """The average, if it is switched on only now, starts from the weights, as at the start of a run."""
    path = folder / f"{file}.safetensors"
    return load_tensors(folder / "model.safetensors" if file == "average" and not path.exists() else path)


def verify(folder: Path) -> None:
    """Raises CheckpointError unless every file of the checkpoint is there and is what was written."""
    for name, digest in _listed_files(folder).items():
        try:
            whole = sha256(folder / name) == digest
        except OSError:
            whole = False
        if not whole:
            raise _damaged(folder, name)


def _listed_files(folder: Path) -> dict[str, str]:
    """What the manifest says of each file."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        if manifest["format"] != _FORMAT:
            raise CheckpointError(f"{folder}: made by another version of kotrans (format {manifest['format']})")
        return dict(manifest["files"])
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: there is no checkpoint here; `kotrans runs` lists the runs") from None
    except (ValueError, KeyError, TypeError, OSError):
        raise _damaged(folder, "manifest.json") from None


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises CheckpointError if it is not one."""
    try:
        return load_file(path)
    except (SafetensorError, OSError):
        raise _damaged(path.parent, path.name) from None


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
    files = sorted(path for path in scratch.rglob("*") if path.is_file())
    digests = {path.relative_to(scratch).as_posix(): sha256(path) for path in files}
    write_json(scratch / "manifest.json", {"format": _FORMAT, "files": digests})


def _read_config(folder: Path) -> Config:
    try:
        return load_config(folder / "config.yaml")
    except (ConfigError, DataError) as error:
        raise CheckpointError(f"{folder}: made by another version of kotrans ({error})") from None


def _read_progress(folder: Path) -> Progress:
    try:
        return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))
    except (ValueError, TypeError, OSError):
        raise _damaged(folder, "progress.json") from None


def _damaged(folder: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{folder}: this checkpoint is damaged ({name} is missing or not what was written); take another one of the run"
    )


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
