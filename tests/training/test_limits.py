"""Limits, patience, the plateau schedule, and the checkpoints that are kept."""

import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kotrans.data.dataset import Position
from kotrans.runs.run import Run
from kotrans.training.events import Event, Saved, Updated
from kotrans.training.limits import Outcome
from tests.tiny_training import build_trainer, metrics, scripted, tiny_config, train_tiny

pytestmark = pytest.mark.e2e


def train_scripted(text: Path, run: Run, figures: Mapping[str, Sequence[float]], **sections: Any) -> Outcome:
    """Trains with the given dev figures and a validation every two updates."""
    validation = {"every": 2, "patience": None} | sections.pop("validation", {})
    training = {"max_updates": 1000, "warmup": 0} | sections.pop("training", {})
    config = tiny_config(text, validation=validation, training=training, **sections)
    return build_trainer(config, run, scripted(**figures)).train()


def test_patience_counts_validations_without_a_better_bleu(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    outcome = train_scripted(text, run, {"bleus": [10, 12, 11, 11.5, 12]}, validation={"patience": 3})
    assert (outcome.reason, outcome.progress.update) == ("patience", 10)
    assert (outcome.progress.best_update, outcome.progress.best_bleu) == (4, 12)
    assert run.record().status == "finished"
    assert (run.record().best, run.record().last) == ("update-00000004", "update-00000010")


def test_patience_can_use_perplexity(runs: Path, text: Path) -> None:
    figures = {"bleus": [1, 2, 3, 4], "perplexities": [9, 7, 7, 8]}
    validation = {"patience": 2, "metric": "perplexity"}
    outcome = train_scripted(text, Run(runs / "run"), figures, validation=validation)
    assert (outcome.reason, outcome.progress.update) == ("patience", 8)
    assert (outcome.progress.best_update, outcome.progress.best_perplexity) == (4, 7)


def test_higher_patience_continues_a_run_that_patience_ended(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_scripted(text, run, {"bleus": [5, 4]}, validation={"patience": 1})
    config = tiny_config(text, validation={"every": 2, "patience": 3}, training={"max_updates": 1000, "warmup": 0})
    trainer = build_trainer(config, run, scripted(bleus=[3, 2, 1]))
    trainer.resume()
    outcome = trainer.train()
    assert (outcome.reason, outcome.progress.update, outcome.progress.stale_validations) == ("patience", 8, 3)


def test_the_metric_may_change_on_resume(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_scripted(text, run, {"bleus": [20, 19], "perplexities": [9, 8]}, training={"max_updates": 4})
    validation = {"every": 2, "patience": 2, "metric": "perplexity"}
    config = tiny_config(text, validation=validation, training={"max_updates": 1000, "warmup": 0})
    trainer = build_trainer(config, run, scripted(bleus=[1, 1, 1], perplexities=[8.5, 9, 9]))
    trainer.resume()
    outcome = trainer.train()
    assert (outcome.reason, outcome.progress.update, outcome.progress.best_update) == ("patience", 10, 6)


def test_the_plateau_schedule_lowers_the_rate_after_its_patience(runs: Path, text: Path) -> None:
    config = tiny_config(
        text,
        validation={"every": 2, "patience": None},
        training={"max_updates": 12, "warmup": 0, "schedule": "plateau", "plateau_patience": 1, "plateau_factor": 0.5},
    )
    rates = []

    def listen(event: Event) -> None:
        if isinstance(event, Updated):
            rates.append(event.learning_rate)

    bleus = [4, 5, 5, 3, 6, 1]  # the second and third 5 are no better: lower; 6 is
    build_trainer(config, Run(runs / "run"), scripted(bleus=bleus), listen).train()
    assert rates == [0.02] * 8 + [0.01] * 4


@pytest.mark.parametrize("limit", [{"max_updates": 12}, {"max_updates": 1000, "max_epochs": 2}])
def test_the_rate_cools_down_before_the_limit_that_comes_first(limit: dict[str, int], runs: Path, text: Path) -> None:
    training = {"warmup": 0, "schedule": "constant", "cooldown": 0.5, **limit}
    train_tiny(tiny_config(text, training=training, validation={"every": 9}), Run(runs / "run"))
    lines = [line for line in metrics(Run(runs / "run")) if line["kind"] == "update"]
    before = [0.0, *(line["share_done"] for line in lines[:-1])]
    assert lines[-1]["share_done"] == 1
    assert [line["learning_rate"] for line in lines] == pytest.approx(
        [0.02 * min(1, 2 * (1 - done)) for done in before]
    )
    assert lines[0]["learning_rate"] == 0.02 > lines[-1]["learning_rate"] > 0


def test_max_epochs_ends_training(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    outcome = train_tiny(
        tiny_config(text, training={"max_updates": 1000, "max_epochs": 2}, validation={"every": 9}), run
    )
    assert (outcome.reason, outcome.progress.position) == ("max_epochs", Position(2))
    assert {line["epoch"] for line in metrics(run) if line["kind"] == "update"} == {1, 2}
    assert metrics(run)[-1]["kind"] == "validation"  # the last update is measured, too


def test_max_minutes_counts_training_time_of_all_starts(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0

    def listen(event: Event) -> None:
        nonlocal clock
        if isinstance(event, Updated):
            clock += 10  # an update takes ten seconds

    def stop_at_3(event: Event) -> None:
        listen(event)
        if isinstance(event, Updated) and event.update == 3:
            signal.raise_signal(signal.SIGTERM)

    fake = SimpleNamespace(monotonic=lambda: clock, perf_counter=time.perf_counter)
    monkeypatch.setattr("kotrans.training.loop.time", fake)
    config = tiny_config(text, training={"max_updates": 1000, "max_minutes": 1}, validation={"every": 100})
    whole, stopped = Run(runs / "whole"), Run(runs / "stopped")
    outcome = train_tiny(config, whole, listen)
    assert (outcome.reason, outcome.progress.update) == ("max_minutes", 7)
    train_tiny(config, stopped, stop_at_3)
    clock += 1e6  # time between the two starts does not count
    outcome = train_tiny(config, stopped, listen, resume=True)
    assert (outcome.reason, outcome.progress.update) == ("max_minutes", 7)


def test_time_running_out_while_saving_still_ends_with_a_validation(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr(
        "kotrans.training.loop.time", SimpleNamespace(monotonic=lambda: clock, perf_counter=time.perf_counter)
    )

    def listen(event: Event) -> None:
        nonlocal clock
        if isinstance(event, Updated) and event.update == 3:
            clock += 61  # after the votes of the update, before those of its checkpoint

    training = {"max_updates": 1000, "max_minutes": 1}
    config = tiny_config(text, training=training, validation={"every": 100}, checkpoints={"every": 3})
    run = Run(runs / "run")
    outcome = train_tiny(config, run, listen)
    assert (outcome.reason, outcome.progress.update) == ("max_minutes", 4)
    assert metrics(run)[-1]["kind"] == "validation"


def test_the_outcome_includes_the_last_validation(runs: Path, text: Path) -> None:
    outcome = train_scripted(text, Run(runs / "run"), {"bleus": [1, 2]}, training={"max_updates": 4})
    assert (outcome.reason, outcome.progress.best_update, outcome.progress.best_bleu) == ("max_updates", 4, 2)


def test_the_share_done_rises_to_one(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    train_tiny(tiny_config(text, training={"max_updates": 1000, "max_epochs": 1}), run)
    shares = [line["share_done"] for line in metrics(run) if line["kind"] == "update"]
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1


def test_the_disk_holds_the_latest_checkpoints_and_the_best(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    most = []

    def listen(event: Event) -> None:
        if isinstance(event, Saved):
            most.append(len(list(run.checkpoints.iterdir())))

    config = tiny_config(
        text,
        checkpoints={"keep": 2, "every": 1},
        training={"max_updates": 8},
        validation={"every": 2, "patience": None},
    )
    build_trainer(config, run, scripted(bleus=[1, 9, 3, 4]), listen).train()
    assert most == [1, 2, 2, 2, 2, 3, 3, 3]
    kept = ["update-00000004", "update-00000007", "update-00000008"]
    assert sorted(path.name for path in run.checkpoints.iterdir()) == kept
    assert run.record().kept == kept
    assert run.checkpoint("best").name == "update-00000004"
    assert run.checkpoint("last").name == "update-00000008"
