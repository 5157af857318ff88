"""A whole training on several ranks: results, files, resuming and messages."""

import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kotrans.config.loading import dump_config
from kotrans.config.schema import Config
from kotrans.data.stages import SilentReporter
from kotrans.errors import DataError, PeerError, TrainingError
from kotrans.parallel.distributed import World, join
from kotrans.runs.run import Run, RunRecord
from kotrans.storage.files import write_lines, write_text
from kotrans.training.limits import Outcome
from kotrans.training.train import train
from tests.parallel.ranks import in_processes, in_ranks
from tests.tiny_run import Result, kotrans
from tests.tiny_training import (
    assert_same_training,
    metrics,
    share_prepared,
    silent,
    stop_at,
    tiny_config,
    train_tiny,
)

pytestmark = pytest.mark.e2e

WITHOUT_DROPOUT = {"embedding": 0, "layers": 0, "output": 0}
FP32 = {"precision": "fp32"}
# All state that resuming could lose, and dropout that each rank draws for itself.
EVERYTHING: dict[str, Any] = {
    "training": {
        "max_updates": 9, "accumulate": 2, "ema": 0.9, "schedule": "plateau", "plateau_patience": 0,
        "scheduled_sampling": 0.3,
    },
    "validation": {"every": 4, "patience": None},
    "checkpoints": {"every": 3},
}  # fmt: skip


def train_rank(
    world: World, config: Config, runs: Sequence[Path], name: str, stop: int | None = None, resume: bool = False
) -> Outcome:
    """Trains with this rank's folder of runs. stop: the update at which rank 0 receives a stop signal."""
    os.environ["KOTRANS_RUNS"] = str(runs[world.rank])
    listener = stop_at(stop) if stop else silent
    return train(config, Run(runs[world.rank] / name), SilentReporter(), listener, world=world, resume=resume)


def train_ranks(
    size: int, config: Config, runs: Path, name: str, stop: int | None = None, *, resume: bool = False
) -> list[Outcome]:
    return in_ranks(size, train_rank, config, [runs] * size, name, stop, resume)


def test_two_ranks_produce_the_same_run_as_one_process(runs: Path, text: Path) -> None:
    training = {"ema": 0.9, "accumulate": 2}
    config = tiny_config(text, dropout=WITHOUT_DROPOUT, training=training, batches={"tokens": 60}, hardware=FP32)
    together, alone = Run(runs / "together"), Run(runs / "alone")
    outcomes = train_ranks(2, config, runs, "together")
    train_tiny(config, alone)
    assert {(outcome.reason, outcome.progress) for outcome in outcomes} == {("max_updates", outcomes[0].progress)}
    for ours, expected in zip(metrics(together), metrics(alone), strict=True):
        assert ours.keys() == expected.keys()
        for key, value in expected.items():
            assert ours[key] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), key
    for name in ("model", "average", "optimizer"):
        files = [load_file(run.checkpoint("last") / f"{name}.safetensors") for run in (together, alone)]
        for key, value in files[1].items():
            torch.testing.assert_close(files[0][key], value, rtol=1e-3, atol=1e-5)
    assert files_of(together) == files_of(alone)


def files_of(run: Run) -> list[str]:
    return sorted(path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*"))


def test_a_resumed_run_equals_an_uninterrupted_one_and_machines_need_no_shared_disk(tmp_path: Path, text: Path) -> None:
    config = tiny_config(text, **EVERYTHING)
    one, *others = machines = [tmp_path / name for name in ("one", "two", "three")]
    train_ranks(3, config, one, "straight")
    # The other ranks receive the stop with the next message: with the next update, or at the checkpoint that is due.
    for stop, stopped_at in ((1, 2), (3, 3)):
        outcomes = in_ranks(3, train_rank, config, machines, "stopped", stop, stop > 1, local_size=1)
        assert {(outcome.reason, outcome.progress.update) for outcome in outcomes} == {("signal", stopped_at)}
        assert Run(one / "stopped").record().status == "interrupted"
    in_ranks(3, train_rank, config, machines, "stopped", None, True, local_size=1)
    assert_same_training(Run(one / "stopped"), Run(one / "straight"))
    assert {path.name for other in others for path in other.iterdir()} == {"prepared"}  # only rank 0 writes a run


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_may_be_resumed_with_another_number_of_ranks(
    before: int, after: int, runs: Path, text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = tiny_config(text, dropout=WITHOUT_DROPOUT, hardware=FP32)
    run, straight = Run(runs / "run"), Run(runs / "straight")
    for size, stop, resume in ((before, 2, False), (after, None, True)):
        if size == 1:
            train_tiny(undisturbed, run, stop_at(stop) if stop else silent, resume=resume)
        else:
            train_ranks(size, undisturbed, runs, "run", stop, resume=resume)
    train_tiny(undisturbed, straight)
    assert metrics(run)[-2]["loss"] == pytest.approx(metrics(straight)[-2]["loss"], rel=1e-4)
    assert json.loads((run.checkpoint("last") / "progress.json").read_text("utf-8"))["ranks"] == after
    if after == 1:  # the log of another process is not caught here
        assert "resumed with 1 processes instead of 2; dropout masks will differ" in caplog.text


def test_machines_with_different_text_are_refused(runs: Path, text: Path, tmp_path: Path) -> None:
    other = shutil.copytree(text, tmp_path / "text")
    write_lines(other / "train.ko", (text / "train.ko").read_text("utf-8").splitlines()[::-1])
    messages = in_ranks(2, refusal_of_text, [tiny_config(text), tiny_config(other)], runs)
    assert messages[0] == messages[1]
    assert "on rank 0 but" in messages[0]
    assert not (runs / "run").exists()


def refusal_of_text(world: World, configs: list[Config], runs: Path) -> str:
    with pytest.raises(DataError) as error:
        train_rank(world, configs[world.rank], [runs] * world.size, "run")
    return str(error.value)


def command(runs: dict[str, Path], *arguments: str) -> Result:
    """Runs the command on a rank as torchrun starts it."""
    os.environ["KOTRANS_RUNS"] = str(runs[os.environ["RANK"]])
    return kotrans(*arguments)


def commands(size: int, runs: Path, *arguments: str, **others: Path) -> list[Result]:
    """Runs the command on each rank; `others` are the folders of single ranks."""
    folders = {str(rank): others.get(f"rank_{rank}", runs) for rank in range(size)}
    return in_processes(size, command, folders, *arguments, local_size=1 if others else size)


@pytest.fixture
def config_file(text: Path, tmp_path: Path) -> str:
    write_text(tmp_path / "tiny.yaml", dump_config(tiny_config(text)))
    return str(tmp_path / "tiny.yaml")


def test_only_rank_0_prints_and_scores(runs: Path, config_file: str) -> None:
    first, *others = commands(2, runs, "train", "-c", config_file)
    assert others == [Result(0, "", "")]
    assert first.code == 0
    assert "1 threads in each of 2 processes" in first.err
    assert first.out.count("test: 10 sentences") == 1
    assert Run(runs / "tiny").record().status == "finished"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--set", "training.turbo=1"], 1, "training.turbo"),
        (["--set", "training.learning_rate=1e38", "--set", "training.warmup=0"], 1, "there is no checkpoint"),
        (["--run", "prepared"], 2, "cannot be a run's name"),
        (["--resume", "--run", "nothing"], 1, "there is no such run"),
    ],
    ids=["config", "diverged", "usage", "resume"],
)
def test_an_error_is_one_line_per_rank_that_begins_with_the_rank(
    arguments: list[str], code: int, problem: str, runs: Path, config_file: str
) -> None:
    first, second = commands(2, runs, "train", "-c", config_file, *arguments)
    errors = [line for line in first.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: rank 0: ")
    assert problem in errors[0]
    assert first.code == code
    assert (second.code > 0, second.out, second.err.count("\n")) == (True, "", 1)
    assert second.err.startswith("error: rank 1: ")


def test_a_signal_after_an_error_does_not_prevent_the_message_of_a_rank(runs: Path, text: Path) -> None:
    diverging = tiny_config(text, training={"learning_rate": 1e38, "warmup": 0}, hardware=FP32)
    assert in_ranks(2, is_ended_by_sigterm_after_an_error, diverging, runs) == [False, False]
    assert in_ranks(1, is_ended_by_sigterm_after_an_error, diverging, runs) == [True]


def is_ended_by_sigterm_after_an_error(world: World, config: Config, runs: Path) -> bool:
    """Returns whether SIGTERM, which torchrun sends to the remaining ranks, would end the process immediately."""
    with pytest.raises(TrainingError):
        train_rank(world, config, [runs] * world.size, f"of-{world.size}")
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(("recorded", "shared"), [(False, True), (True, True), (True, False)])
def test_a_rank_that_outlives_rank_0_names_the_last_checkpoint_that_it_can_find(
    recorded: bool, shared: bool, runs: Path, text: Path, tmp_path: Path
) -> None:
    """Rank 0 is killed while it saves the second checkpoint: before it records it, or before it announces it."""
    own = runs if shared else share_prepared(tmp_path / "other", runs / "prepared")
    if not shared:  # an unrelated run of the same name with later checkpoints
        train_tiny(tiny_config(text), Run(own / "run"))
    config = tiny_config(text, checkpoints={"keep": 1})
    _, message = in_processes(2, killed_while_saving, config, [runs, own], recorded)
    last = Run(runs / "run").record().last
    assert last == ("update-00000004" if recorded else "update-00000002")
    known = last if shared else "update-00000002"
    assert message.endswith(f"the last good checkpoint is {own / 'run' / 'checkpoints' / known}")


def killed_while_saving(config: Config, runs: list[Path], recorded: bool) -> str:
    """Returns the message of rank 1. Rank 0 runs in a child process, which is killed."""
    rank = int(os.environ["RANK"])
    os.environ["KOTRANS_RUNS"] = str(runs[rank])
    run = Run(runs[rank] / "run")
    if rank == 1:
        with pytest.raises(PeerError) as error:
            train(config, run, SilentReporter(), silent, world=join())
        return str(error.value)
    add, child = run.add_checkpoint, os.fork()
    if child:
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        return ""

    def end_at_second(name: str, *arguments: Any, **options: Any) -> RunRecord:
        if name.endswith("2") or recorded:
            record = add(name, *arguments, **options)
        if name.endswith("4"):
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    run.add_checkpoint = end_at_second  # type: ignore[method-assign]
    train(config, run, SilentReporter(), silent, world=join())
    os._exit(1)


def test_an_error_of_one_rank_ends_the_others_with_a_message(runs: Path, config_file: str, tmp_path: Path) -> None:
    commands(1, runs, "prepare", "-c", config_file)  # the second machine has empty folders under the same names
    for folder in (runs / "prepared").glob("corpus-*"):
        (tmp_path / "two" / "prepared" / folder.name).mkdir(parents=True)
    first, second = commands(2, runs, "train", "-c", config_file, rank_1=tmp_path / "two")
    assert (first.code, second.code) == (1, 1)
    assert first.err.splitlines()[-1].startswith("error: rank 0: another process of this training has ended")
    assert second.err.startswith(f"error: rank 1: {tmp_path / 'two' / 'prepared'}")
    assert second.err.count("\n") == 1
