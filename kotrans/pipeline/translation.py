"""Translators of runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from kotrans.checkpoint import load_checkpoint
from kotrans.config.config import Config
from kotrans.config.loading import load_config
from kotrans.errors import ConfigError
from kotrans.hardware import pick_device, set_threads
from kotrans.runs import Run, find_run
from kotrans.translate import Translator, translator_of


@dataclass(frozen=True)
class LoadedRuns:
    """A translator and where it comes from."""

    translator: Translator
    config: Config
    run: Run  # the first of an ensemble
    names: tuple[str, ...]  # run/checkpoint of each
    label: str  # tells what is written of them from what is written of the run's best checkpoint alone; empty for that


def load_runs(
    names: Sequence[str], settings: Sequence[str] = (), sections: Sequence[str] = ("search", "hardware")
) -> LoadedRuns:
    """A translator of the named runs, several making an ensemble, each by its best checkpoint or as RUN/CHECKPOINT.

    No name is the most recently finished run; `settings` override these `sections` of the first run's config. Raises
    CheckpointError if a run or checkpoint is missing or damaged, ConfigError, or ModelError if the vocabularies differ.
    """
    _check_settings(settings, sections)
    found = [_find(name) for name in names or [""]]
    folders = [run.checkpoint(which) for run, which in found]
    config = load_config(found[0][0].folder / "config.yaml", settings)
    set_threads(config.hardware)
    device = pick_device(config.hardware)
    checkpoints = [load_checkpoint(folder, device) for folder in folders]
    labels = tuple(f"{run.name}/{folder.name}" for (run, _), folder in zip(found, folders, strict=True))
    translator = translator_of(checkpoints, config.search, device)
    return LoadedRuns(translator, config, found[0][0], labels, _label(names, labels))


def _check_settings(settings: Sequence[str], sections: Sequence[str]) -> None:
    """A trained model is what it is: a setting that could no longer change anything is refused, not ignored."""
    for setting in settings:
        if setting.partition(".")[0] not in sections and "=" in setting:
            allowed = " and ".join(f"`{section}`" for section in sections)
            raise ConfigError(f"--set {setting}: a trained run takes settings of {allowed} only")


def _label(names: Sequence[str], labels: Sequence[str]) -> str:
    if len(labels) > 1:
        return "+".join(label.replace("/", "-") for label in labels)
    return labels[0].partition("/")[2] if names and "/" in names[0] else ""


def _find(name: str) -> tuple[Run, str]:
    run, _, checkpoint = name.partition("/")
    return find_run(run or None), checkpoint or "best"
