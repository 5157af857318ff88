"""TensorBoard files contain the values of metrics.jsonl, if the config turns them on."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kotrans.errors import ConfigError
from kotrans.runs.run import Run
from tests.tiny_training import metrics, stop_at, tiny_config, train_tiny

pytestmark = pytest.mark.e2e

installed = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="the tensorboard extra is not installed"
)


def curves(folder: Path) -> Callable[[str], list[tuple[int, float]]]:
    """Returns a function that reads the points of a scalar by its tag."""
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return lambda name: [(point.step, point.value) for point in events.Scalars(name)]


def of_metrics(run: Run, kind: str, key: str) -> list[tuple[int, Any]]:
    return [(line["update"], pytest.approx(line[key])) for line in metrics(run) if line["kind"] == kind]


@installed
def test_scalars_equal_metrics_after_a_resume(runs: Path, text: Path) -> None:
    config, run = tiny_config(text, training={"tensorboard": True}), Run(runs / "run")
    train_tiny(config, run, stop_at(3))
    train_tiny(config, run, resume=True)
    curve = curves(run.folder / "tensorboard")
    assert curve("train/loss") == of_metrics(run, "update", "loss")
    assert curve("train/learning_rate") == of_metrics(run, "update", "learning_rate")
    assert curve("dev/bleu") == of_metrics(run, "validation", "bleu")
    assert curve("dev/perplexity") == of_metrics(run, "validation", "perplexity")


@installed
def test_updates_repeated_after_a_crash_appear_once(runs: Path, text: Path) -> None:
    config, run = tiny_config(text, training={"tensorboard": True}), Run(runs / "run")

    def die(event: object) -> None:
        if getattr(event, "update", 0) == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_tiny(config, run, die)
    train_tiny(config, run, resume=True)
    assert curves(run.folder / "tensorboard")("train/loss") == of_metrics(run, "update", "loss")


def test_a_missing_package_is_reported_before_any_work_with_the_install_command(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'kotrans\[tensorboard\]'"):
        train_tiny(tiny_config(text, training={"tensorboard": True}), Run(runs / "run"))
    assert not (runs / "run").exists()


def test_nothing_is_written_by_default(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text), run)
    assert not (run.folder / "tensorboard").exists()
