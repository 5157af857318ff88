"""Cooldown before a time limit: planned once, stored in checkpoints, and the same after a resume."""

import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.config.schema import TrainingConfig
from kotrans.runs.run import Run
from kotrans.runs.schedule import learning_rate, plan_cooldown
from kotrans.training.events import Event, Saved, Updated
from tests.tiny_training import assert_same_training, metrics, tiny_config, train_tiny

pytestmark = pytest.mark.e2e

TRAINING: dict[str, Any] = {
    "max_updates": 1000, "max_minutes": 2, "cooldown": 0.5, "warmup": 0, "schedule": "constant",
}  # fmt: skip


class Clock:
    """A listener that advances a fake clock by `seconds` per update, and can send a signal."""

    def __init__(self, patch: pytest.MonkeyPatch, seconds: float = 10) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.stop_at: int | None = None
        fake = SimpleNamespace(monotonic=lambda: self.now, perf_counter=time.perf_counter)
        patch.setattr("kotrans.training.loop.time", fake)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Updated):
            self.now += self.seconds
            if event.update == self.stop_at:
                signal.raise_signal(signal.SIGTERM)


def lines(run: Run) -> list[dict[str, Any]]:
    return [line for line in metrics(run) if line["kind"] == "update"]


def test_the_rate_falls_linearly_to_a_last_update_that_is_planned_once(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)

    def slow_down(event: Event) -> None:
        clock(event)
        clock.seconds = 60 if isinstance(event, Updated) and event.update > 8 else clock.seconds

    run = Run(runs / "run")
    outcome = train_tiny(tiny_config(text, training=TRAINING, validation={"every": 100}), run, slow_down)
    # Half of the two minutes is over after six updates of ten seconds; the votes of the seventh contain it.
    plan = outcome.progress.cooldown
    assert plan is not None
    assert (outcome.reason, outcome.progress.update) == ("max_minutes", plan.end)
    assert (plan.update, plan.end) == (7, 14)
    rates = [line["learning_rate"] for line in lines(run)]
    assert rates[:7] == [0.02] * 7
    assert rates[7:] == pytest.approx([0.02 * (14 - update) / 7 for update in range(7, 14)])


@pytest.mark.parametrize("stop", [8, 11, 13])
def test_a_run_resumed_in_its_cooldown_is_bitwise_equal_to_an_uninterrupted_one(
    stop: int, runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(text, training=TRAINING, validation={"every": 3, "patience": None})
    straight, stopped = Run(runs / "straight"), Run(runs / "stopped")
    clock = Clock(monkeypatch)
    train_tiny(config, straight, clock)
    clock.stop_at = stop
    assert train_tiny(config, stopped, clock).reason == "signal"
    clock.seconds = 50  # on a slower machine
    train_tiny(config, stopped, clock, resume=True)
    assert_same_training(stopped, straight)


def test_the_plan_is_saved_in_a_checkpoint_before_it_takes_effect(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved = Clock(monkeypatch), []

    def listen(event: Event) -> None:
        clock(event)
        if isinstance(event, Saved):
            saved.append(event.update)

    train_tiny(tiny_config(text, training=TRAINING, validation={"every": 100}), Run(runs / "run"), listen)
    assert saved == [7, 14]


def test_changed_limits_on_resume_make_a_new_plan(runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, run = Clock(monkeypatch), Run(runs / "run")
    config = tiny_config(text, training=TRAINING, validation={"every": 100})
    assert train_tiny(config, run, clock).progress.update == 14
    assert train_tiny(config, run, clock, resume=True).progress.update == 14  # already finished
    longer = tiny_config(text, training=TRAINING | {"max_minutes": 6}, validation={"every": 100})
    outcome = train_tiny(longer, run, clock, resume=True)
    assert outcome.progress.cooldown is not None
    assert outcome.progress.cooldown.update > 14
    rates = [line["learning_rate"] for line in lines(run)]
    assert rates[14] == 0.02


@given(
    update=st.integers(1, 10**6), share=st.floats(0.01, 0.999), cooldown=st.floats(0.01, 0.99),
    most=st.integers(1, 10**6),
)  # fmt: skip
def test_a_plan_starts_at_the_share_done_and_ends_at_one(update: int, share: float, cooldown: float, most: int) -> None:
    config = TrainingConfig(max_updates=max(most, update + 1), max_minutes=90, cooldown=cooldown, warmup=0)
    plan = plan_cooldown(update, share, config)
    if share < 1 - cooldown:
        assert plan is None
        return
    assert plan is not None
    assert update < plan.end <= config.max_updates
    assert plan.done(update) == share
    assert plan.done(plan.end) == 1
    assert plan.done(update) <= plan.done(update + 1) <= 1
    assert learning_rate(plan.end, config, done=plan.done(plan.end - 1)) > 0


def test_there_is_no_plan_without_a_time_limit_or_a_cooldown() -> None:
    assert plan_cooldown(90, 0.9, TrainingConfig(max_updates=100, cooldown=0.5)) is None
    assert plan_cooldown(90, 0.9, TrainingConfig(max_updates=100, max_minutes=5)) is None
    assert plan_cooldown(0, 0.9, TrainingConfig(max_updates=100, max_minutes=5, cooldown=0.5)) is None
