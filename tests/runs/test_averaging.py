"""Checkpoint averaging: the mean weights of checkpoints as a new run."""

from pathlib import Path

import pytest
import torch

from kotrans.errors import CheckpointError, UsageError
from kotrans.runs.averaging import average_checkpoints
from kotrans.runs.checkpoint import load_checkpoint
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import find_run, new_run
from tests.tiny_training import tiny_config, train_tiny

CPU = torch.device("cpu")


@pytest.fixture
def source(runs: Path, text: Path) -> Run:
    run = Run(runs / "tiny")
    train_tiny(tiny_config(text, validation={"every": 2, "patience": None}), run)
    return run


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in load_checkpoint(folder, CPU).model.named_parameters()}


def test_the_average_of_two_checkpoints_is_their_mean(source: Run) -> None:
    target = new_run(None, "tiny-average")
    names = average_checkpoints(source, target, last=2)
    assert names == ["update-00000004", "update-00000006"]
    one, two = (weights(source.checkpoint(name)) for name in names)
    for name, value in weights(target.checkpoint()).items():
        assert torch.equal(value, torch.stack([one[name], two[name]]).mean(0)), name
        torch.testing.assert_close(value, (one[name] + two[name]) / 2)


def test_the_average_of_all_checkpoints_is_a_finished_run(source: Run, runs: Path) -> None:
    target = new_run("mean", "tiny")
    assert average_checkpoints(source, target) == source.record().kept
    assert find_run(None).name == "mean"
    assert target.record().best_bleu is None
    assert target.checkpoint("best") == target.checkpoint("last") == target.checkpoints / "average"
    assert (target.folder / "config.yaml").read_bytes() == (source.folder / "config.yaml").read_bytes()


def test_training_cannot_resume_from_an_average(source: Run, text: Path) -> None:
    target = new_run("mean", "tiny")
    average_checkpoints(source, target)
    target.release()
    with pytest.raises(CheckpointError, match="holds weights only"):
        train_tiny(tiny_config(text, training={"max_updates": 9}), target, resume=True)


def test_fewer_than_two_checkpoints_are_refused_and_leave_no_run(source: Run, runs: Path, text: Path) -> None:
    target = new_run("mean", "tiny")
    with pytest.raises(UsageError, match="--last 1: averaging needs at least two checkpoints"):
        average_checkpoints(source, target, last=1)
    single = Run(runs / "single")
    train_tiny(tiny_config(text, training={"max_updates": 1}), single)
    with pytest.raises(UsageError, match="has 1 checkpoints; averaging needs at least two"):
        average_checkpoints(single, target)
    assert not target.folder.exists()


def test_a_damaged_checkpoint_leaves_no_run(source: Run) -> None:
    (source.checkpoint("last") / "model.safetensors").write_bytes(b"")
    target = new_run("mean", "tiny")
    with pytest.raises(CheckpointError, match="damaged"):
        average_checkpoints(source, target)
    assert not target.folder.exists()
