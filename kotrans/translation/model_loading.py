"""Finds trained models by name and describes how to load a translator from them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kotrans.config.loading import load_config, override_config
from kotrans.config.schema import Config, SearchConfig
from kotrans.errors import CheckpointError, ConfigError
from kotrans.parallel.memory import memory_errors
from kotrans.runs.model_files import ModelFiles, load_model_files, read_config
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import find_run, named_run, warning_of_better_run
from kotrans.storage.manifest import VerifiedFiles
from kotrans.storage.paths import user_path

if TYPE_CHECKING:
    import torch

    from kotrans.runs.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

# fp32 whatever precision the model was trained in, so that translations are comparable; a setting overrides it.
_PRECISION = "hardware.precision=fp32"


@dataclass(frozen=True)
class SavedModel:
    """A checkpoint of a run, or an exported model, on disk."""

    path: Path
    """The checkpoint's folder, or the zip of one."""
    name: str
    """RUN/CHECKPOINT, or the path as given."""
    run: Run | None = None
    """None for an exported model."""
    label: str = ""
    """Part of the names of evaluation files; empty for the run's best checkpoint."""

    @cached_property
    def config(self) -> Config:
        """The run's config.yaml, or the config in an exported model."""
        if self.run is not None:
            return load_config(self.run.folder / "config.yaml")
        return read_config(VerifiedFiles(self.path))

    def load(self, device: "torch.device") -> "Checkpoint":
        """Reads it into a PyTorch model. Raises CheckpointError if the checkpoint is damaged."""
        from kotrans.runs.checkpoint import load_checkpoint

        return load_checkpoint(self.path, device, self._own_config)

    def load_files(self) -> ModelFiles:
        """Reads it without PyTorch. Raises CheckpointError if the checkpoint is damaged."""
        return load_model_files(self.path, self._own_config)

    @property
    def _own_config(self) -> Config | None:
        # The weights of a run belong to the config inside the checkpoint: the run's config.yaml can be edited.
        return self.config if self.run is None else None


@dataclass(frozen=True)
class TranslatorSpec:
    """The models to translate with and their settings. Picklable, so that other processes can load the same models."""

    models: tuple[SavedModel, ...]
    """More than one is an ensemble."""
    config: Config
    """The first model's config with the overrides applied."""
    own_search: SearchConfig
    """The first model's search settings without overrides."""

    @property
    def run(self) -> Run | None:
        """The run of the first model; None for an exported model."""
        return self.models[0].run

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(model.name for model in self.models)

    @property
    def label(self) -> str:
        """Part of the names of evaluation files; empty for the best checkpoint of a single run."""
        if len(self.models) == 1:
            return self.models[0].label
        return "+".join(name.replace("/", "-") for name in self.names)

    def with_threads(self, threads: int) -> Self:
        """Returns the same models with this number of threads, for one of several processes."""
        return replace(self, config=override_config(self.config, [f"hardware.threads={threads}"]))


def find_models(
    names: Sequence[str | Path], settings: Sequence[str] = (), sections: Sequence[str] = ("search", "hardware")
) -> TranslatorSpec:
    """Finds models as `find_model` does, several making an ensemble; no name is the most recently finished run.

    `settings` are overrides of these `sections` of the first model's config. Raises CheckpointError if a model is
    missing, ConfigError if a setting is invalid or of another section.
    """
    for setting in settings:
        if setting.partition(".")[0] not in sections and "=" in setting:
            allowed = " and ".join(f"`{section}`" for section in sections)
            raise ConfigError(f"--set {setting}: a trained run takes settings of {allowed} only")
    models = tuple(find_model(name) for name in names or [""])
    own = models[0].config
    return TranslatorSpec(models, override_config(own, [_PRECISION, *settings]), own.search)


def find_model(name: str | Path) -> SavedModel:
    """Finds a run by name or as RUN/CHECKPOINT, or the path of a run, a checkpoint, an exported folder or zip.

    A run stands for its best checkpoint. An empty name is the most recently finished run; a Path is never the name of
    a run. Raises CheckpointError if there is no such model.
    """
    if name == "":
        run = find_run(None)
        if warning := warning_of_better_run(run):
            logger.warning("warning: %s", warning)
        return _model_of_run(run)
    if isinstance(name, str):
        run_name, _, checkpoint = name.partition("/")
        if run_name and ((named_run(run_name).folder / "run.json").is_file() or not user_path(name).exists()):
            return _model_of_run(find_run(run_name), checkpoint)
    path = user_path(name)
    if (path / "run.json").is_file():
        return _model_of_run(Run(path.resolve()))
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file or folder; use one that `kotrans export` wrote")
    return SavedModel(path, str(name))


@contextmanager
def search_memory_errors(search: SearchConfig) -> Iterator[None]:
    """Turns running out of memory inside the block into an error that names the settings to lower."""
    what = f"translating up to {search.batch} sentences together with beam {search.beam}"
    with memory_errors(what, f"use --set search.batch={max(1, search.batch // 8)} or a smaller beam"):
        yield


def _model_of_run(run: Run, checkpoint: str = "") -> SavedModel:
    path = run.checkpoint(checkpoint or "best")
    return SavedModel(path, f"{run.name}/{path.name}", run, path.name if checkpoint else "")
