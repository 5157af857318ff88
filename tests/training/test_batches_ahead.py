"""Training prefetches batches in a thread, which ends with training."""

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from kotrans.data.batching import Batch, Batches
from kotrans.data.dataset import Position
from kotrans.errors import DataError
from kotrans.runs.run import Run
from kotrans.training.events import Event, Updated
from tests.tiny_training import build_trainer, scripted, stop_at, tiny_config

pytestmark = pytest.mark.e2e


def batch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "batches"]


def test_batches_are_made_in_a_thread_whose_errors_end_training(
    runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[str] = []
    updates: list[int] = []
    start_at = Batches.start_at

    def damaged_after_five(batches: Batches, position: Position) -> Iterator[tuple[Position, Batch]]:
        for item in islice(start_at(batches, position), 5):
            makers.append(threading.current_thread().name)
            yield item
        raise DataError("ids.npy: damaged")

    def listen(event: Event) -> None:
        if isinstance(event, Updated):
            updates.append(event.update)

    monkeypatch.setattr(Batches, "start_at", damaged_after_five)
    config = tiny_config(text, training={"max_updates": 9})
    trainer = build_trainer(config, Run(runs / "run"), scripted(bleus=[1, 2]), listen)
    with pytest.raises(DataError, match="damaged"):
        trainer.train()
    assert updates == [1, 2, 3, 4, 5]
    assert makers == ["batches"] * 5
    assert batch_threads() == []


@pytest.mark.parametrize("stopped", [False, True])
def test_the_batch_thread_ends_when_training_finishes_or_is_stopped(stopped: bool, runs: Path, text: Path) -> None:
    listener = stop_at(3) if stopped else lambda event: None
    trainer = build_trainer(tiny_config(text), Run(runs / "run"), scripted(bleus=[1, 2, 3]), listener)
    assert trainer.train().reason == ("signal" if stopped else "max_updates")
    assert batch_threads() == []
