"""Translators of runs, and of models that were exported from them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kotrans.config.loading import load_config, override_config
from kotrans.config.schema import Config, SearchConfig
from kotrans.errors import CheckpointError, ConfigError
from kotrans.parallel.device import memory_errors, pick_device, pick_precision, set_threads
from kotrans.runs.checkpoint import load_checkpoint, read_config
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import find_run, named_run, warning_of_better_run
from kotrans.storage.files import content_key
from kotrans.storage.manifest import VerifiedFiles
from kotrans.storage.paths import user_path
from kotrans.translation.translator import BatchTranslator, translator_of

logger = logging.getLogger(__name__)

# Whatever a model was trained in, so that translations compare; a setting may ask for another.
_PRECISION = "hardware.precision=fp32"


@dataclass(frozen=True)
class FoundModel:
    """A model that is on this machine."""

    path: Path  # the checkpoint's folder, or the zip of one
    name: str  # run/checkpoint, or the path as it was given
    run: Run | None  # of its checkpoint; None for an exported model
    label: str = ""  # tells what is written of it from what is written of the run's best checkpoint

    def config(self, settings: Sequence[str] = ()) -> Config:
        """Its config with settings overridden; the run's own where there is one."""
        if self.run is not None:
            return load_config(self.run.folder / "config.yaml", settings)
        return override_config(read_config(VerifiedFiles(self.path)), settings)


@dataclass(frozen=True)
class LoadedRuns:
    """A translator and where it comes from."""

    translator: BatchTranslator
    config: Config
    run: Run | None  # the first of an ensemble; None for an exported model
    names: tuple[str, ...]  # run/checkpoint of each, or the path
    label: str  # tells what is written of them from what is written of the run's best checkpoint alone; empty for that
    precision: str  # that it multiplies in
    seals: tuple[str, ...]  # a hash of each one's files
    load_for_one_core: Callable[[], BatchTranslator]  # can be sent to another process


@dataclass(frozen=True)
class FoundRuns:
    """Models that are on this machine, not loaded yet, and the config of the first with settings overridden."""

    models: tuple[FoundModel, ...]
    config: Config

    def load(self) -> LoadedRuns:
        """Raises CheckpointError if one is damaged, ConfigError, or ModelError if the vocabularies differ."""
        config = self.config
        set_threads(config.hardware)
        device = pick_device(config.hardware)
        with memory_errors("loading the model", f"free some of the memory of {device}"):
            checkpoints = [load_checkpoint(each.path, device) for each in self.models]
        precision = pick_precision(config.hardware, device)
        return LoadedRuns(
            translator_of(checkpoints, config.search, device, precision), config, self.models[0].run,
            tuple(each.name for each in self.models), _label(self.models), precision,
            tuple(content_key(VerifiedFiles(each.path).files) for each in self.models), self.load_for_one_core,
        )  # fmt: skip

    def load_for_one_core(self) -> BatchTranslator:
        """The translator alone, for a process of which there is one on each core. Raises what `load` does."""
        return replace(self, config=override_config(self.config, ["hardware.threads=1"])).load().translator


def find_runs(
    names: Sequence[str | Path], settings: Sequence[str] = (), sections: Sequence[str] = ("search", "hardware")
) -> FoundRuns:
    """What `find_model` finds by these names, several making an ensemble.

    No name is the most recently finished run; `settings` override these `sections` of the first one's config. Raises
    CheckpointError if one is missing, or ConfigError.
    """
    _check_settings(settings, sections)
    found = tuple(find_model(name) for name in names or [""])
    return FoundRuns(found, found[0].config([_PRECISION, *settings]))


def load_runs(names: Sequence[str | Path], settings: Sequence[str] = ()) -> LoadedRuns:
    """A translator of what `find_runs` finds. Raises what it raises, and what loading does."""
    return find_runs(names, settings).load()


def find_model(name: str | Path) -> FoundModel:
    """A run by name or as RUN/CHECKPOINT, else a path: a run's folder, a checkpoint's, an exported one, or its zip.

    A run is taken by its best checkpoint; an empty name is the most recently finished run, and a Path is never a run's
    name. Raises CheckpointError if there is no such model.
    """
    if name == "":
        run = find_run(None)
        if warning := warning_of_better_run(run):
            logger.warning("warning: %s", warning)
        return _of_run(run, "")
    if isinstance(name, str):
        run_name, _, checkpoint = name.partition("/")
        if run_name and ((named_run(run_name).folder / "run.json").is_file() or not user_path(name).exists()):
            return _of_run(find_run(run_name), checkpoint)
    path = user_path(name)
    if (path / "run.json").is_file():
        return _of_run(Run(path.resolve()), "")
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file or folder; give what `kotrans export` wrote")
    return FoundModel(path, str(name), None)


@contextmanager
def translation_memory(search: SearchConfig) -> Iterator[None]:
    """Inside the block, memory that runs out becomes an error of one line that says what to set."""
    together = f"translating up to {search.batch} sentences together with beam {search.beam}"
    with memory_errors(together, f"--set search.batch={max(1, search.batch // 8)} or a smaller beam takes less"):
        yield


def _of_run(run: Run, checkpoint: str) -> FoundModel:
    path = run.checkpoint(checkpoint or "best")
    return FoundModel(path, f"{run.name}/{path.name}", run, path.name if checkpoint else "")


def _check_settings(settings: Sequence[str], sections: Sequence[str]) -> None:
    """A trained model is what it is: a setting that could no longer change anything is refused, not ignored."""
    for setting in settings:
        if setting.partition(".")[0] not in sections and "=" in setting:
            allowed = " and ".join(f"`{section}`" for section in sections)
            raise ConfigError(f"--set {setting}: a trained run takes settings of {allowed} only")


def _label(found: Sequence[FoundModel]) -> str:
    return found[0].label if len(found) == 1 else "+".join(each.name.replace("/", "-") for each in found)
