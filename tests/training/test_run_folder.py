"""The run folder during training: it is locked, and may be moved or deleted."""

import shutil
from pathlib import Path

import pytest

from kotrans.errors import CheckpointError
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import new_run
from kotrans.training.events import Event, Saved, Updated, Validated
from tests.tiny_training import stop_at, tiny_config, train_tiny

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("kind", [Updated, Validated, Saved])
def test_deleting_a_run_during_training_fails_with_one_line_and_leaves_nothing(
    kind: type[Event], runs: Path, text: Path
) -> None:
    run = new_run("run", "tiny")

    def delete(event: Event) -> None:
        if isinstance(event, kind) and event.update == 4:
            shutil.rmtree(run.folder)

    with pytest.raises(CheckpointError) as error:
        train_tiny(tiny_config(text), run, delete)
    assert str(run.folder) in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("there is no checkpoint")
    assert not run.folder.exists()
    train_tiny(tiny_config(text), new_run("run", "tiny"))  # the name is free


def test_moving_a_run_during_training_keeps_its_checkpoints(runs: Path, text: Path) -> None:
    run, moved = Run(runs / "run"), Run(runs / "moved")

    def move(event: Event) -> None:
        if isinstance(event, Updated) and event.update == 3:
            run.folder.rename(moved.folder)

    with pytest.raises(CheckpointError):
        train_tiny(tiny_config(text), run, move)
    assert not run.folder.exists()
    train_tiny(tiny_config(text), moved, resume=True)
    assert moved.record().last == "update-00000006"


def test_a_run_stays_locked_if_its_lock_file_is_deleted(runs: Path, text: Path) -> None:
    run = new_run("run", "tiny")
    refused = []

    def try_again(event: Event) -> None:
        if isinstance(event, Updated) and event.update in (1, 3):
            (runs / ".run.lock").unlink()
            assert Run(run.folder).is_claimed()
            with pytest.raises(CheckpointError, match="another process is training this run"):
                train_tiny(tiny_config(text), Run(run.folder), resume=True)
            refused.append(event.update)

    train_tiny(tiny_config(text), run, stop_at(2))
    assert not Run(run.folder).is_claimed()
    train_tiny(tiny_config(text), run, try_again, resume=True)
    assert refused == [3]
    train_tiny(tiny_config(text, training={"max_updates": 7}), Run(run.folder), resume=True)


def test_a_new_run_is_locked_as_soon_as_its_folder_exists(runs: Path, text: Path) -> None:
    run = new_run("run", "tiny")

    def look(event: Event) -> None:
        (runs / ".run.lock").unlink(missing_ok=True)
        assert not Run(run.folder).claim()

    train_tiny(tiny_config(text), run, look)
