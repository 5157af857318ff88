"""A whole training on several ranks: its figures, its files, its resume, its words."""

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

WITHOUT_DROPOUT = {"embedding": 0, "layers": 0, "output": 0}
FP32 = {"precision": "fp32"}
# All that a resume could lose, and dropout that each rank draws for itself.
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
    """Trains with this rank's folder for runs; `stop` is when rank 0 is told to."""
    os.environ["KOTRANS_RUNS"] = str(runs[world.rank])
    listener = stop_at(stop) if stop else silent
    return train(config, Run(runs[world.rank] / name), SilentReporter(), listener, world=world, resume=resume)


def train_ranks(
    size: int, config: Config, runs: Path, name: str, stop: int | None = None, *, resume: bool = False
) -> list[Outcome]:
    return in_ranks(size, train_rank, config, [runs] * size, name, stop, resume)


def test_two_ranks_make_the_run_that_one_process_makes(runs: Path, text: Path) -> None:
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


def test_a_stopped_and_resumed_run_is_the_straight_run_and_machines_need_share_no_disk(
    tmp_path: Path, text: Path
) -> None:
    config = tiny_config(text, **EVERYTHING)
    one, *others = machines = [tmp_path / name for name in ("one", "two", "three")]
    train_ranks(3, config, one, "straight")
    # The others hear of a stop with what is sent next: with the next update, or at the checkpoint that is due.
    for stop, heard in ((1, 2), (3, 3)):
        outcomes = in_ranks(3, train_rank, config, machines, "stopped", stop, stop > 1, local_size=1)
        assert {(outcome.reason, outcome.progress.update) for outcome in outcomes} == {("signal", heard)}
        assert Run(one / "stopped").record().status == "interrupted"
    in_ranks(3, train_rank, config, machines, "stopped", None, True, local_size=1)
    assert_same_training(Run(one / "stopped"), Run(one / "straight"))
    assert {path.name for other in others for path in other.iterdir()} == {"prepared"}  # rank 0 alone writes a run


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_ranks_may_go_on_with_a_run(
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


def test_machines_with_other_text_are_refused(runs: Path, text: Path, tmp_path: Path) -> None:
    other = shutil.copytree(text, tmp_path / "text")
    write_lines(other / "train.ko", (text / "train.ko").read_text("utf-8").splitlines()[::-1])
    said = in_ranks(2, refused_text, [tiny_config(text), tiny_config(other)], runs)
    assert said[0] == said[1]
    assert "on rank 0 but" in said[0]
    assert not (runs / "run").exists()


def refused_text(world: World, configs: list[Config], runs: Path) -> str:
    with pytest.raises(DataError) as error:
        train_rank(world, configs[world.rank], [runs] * world.size, "run")
    return str(error.value)


def command(runs: dict[str, Path], *arguments: str) -> Result:
    """A rank as torchrun starts it, up to the exit code."""
    os.environ["KOTRANS_RUNS"] = str(runs[os.environ["RANK"]])
    return kotrans(*arguments)


def commands(size: int, runs: Path, *arguments: str, **others: Path) -> list[Result]:
    """The command on each rank; `others` are folders of single ranks."""
    folders = {str(rank): others.get(f"rank_{rank}", runs) for rank in range(size)}
    return in_processes(size, command, folders, *arguments, local_size=1 if others else size)


@pytest.fixture
def config_file(text: Path, tmp_path: Path) -> str:
    write_text(tmp_path / "tiny.yaml", dump_config(tiny_config(text)))
    return str(tmp_path / "tiny.yaml")


def test_rank_0_alone_speaks_and_scores(runs: Path, config_file: str) -> None:
    first, *others = commands(2, runs, "train", "-c", config_file)
    assert others == [Result(0, "", "")]
    assert first.code == 0
    assert "1 threads in each of 2 processes" in first.err
    assert first.out.count("test: 10 sentences") == 1
    assert Run(runs / "tiny").record().status == "finished"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--set", "training.turbo=1"], 1, "training.turbo"),
        (["--set", "training.learning_rate=1e38", "--set", "training.warmup=0"], 1, "there is no checkpoint"),
        (["--run", "prepared"], 2, "cannot be a run's name"),
        (["--resume", "--run", "nothing"], 1, "there is no such run"),
    ],
    ids=["config", "diverged", "usage", "resume"],
)
def test_an_error_of_all_ranks_is_one_line(
    arguments: list[str], code: int, told: str, runs: Path, config_file: str
) -> None:
    first, second = commands(2, runs, "train", "-c", config_file, *arguments)
    errors = [line for line in first.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert first.code == code
    assert (second.code > 0, second.out, second.err) == (True, "", "")


def test_a_signal_after_an_error_does_not_cut_off_what_a_rank_says_of_it(runs: Path, text: Path) -> None:
    diverging = tiny_config(text, training={"learning_rate": 1e38, "warmup": 0}, hardware=FP32)
    assert in_ranks(2, ends_by_a_signal_after_an_error, diverging, runs) == [False, False]
    assert in_ranks(1, ends_by_a_signal_after_an_error, diverging, runs) == [True]


def ends_by_a_signal_after_an_error(world: World, config: Config, runs: Path) -> bool:
    """Whether SIGTERM, which torchrun sends to those that are left, would end the process without a word."""
    with pytest.raises(TrainingError):
        train_rank(world, config, [runs] * world.size, f"of-{world.size}")
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(("recorded", "shared"), [(False, True), (True, True), (True, False)])
def test_a_rank_that_outlives_rank_0_names_the_last_checkpoint_that_it_can_know_of(
    recorded: bool, shared: bool, runs: Path, text: Path, tmp_path: Path
) -> None:
    """Rank 0 ends while it saves the second checkpoint: before its record of it, or before word of it."""
    own = runs if shared else share_prepared(tmp_path / "other", runs / "prepared")
    if not shared:  # a run of the same name that has come further
        train_tiny(tiny_config(text), Run(own / "run"))
    config = tiny_config(text, checkpoints={"keep": 1})
    _, said = in_processes(2, ended_while_saving, config, [runs, own], recorded)
    last = Run(runs / "run").record().last
    assert last == ("update-00000004" if recorded else "update-00000002")
    known = last if shared else "update-00000002"
    assert said.endswith(f"the last good checkpoint is {own / 'run' / 'checkpoints' / known}")


def ended_while_saving(config: Config, runs: list[Path], recorded: bool) -> str:
    """What rank 1 says; rank 0 is a child of the process that should be it, and is killed."""
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

    def end_at_the_second(name: str, *arguments: Any, **options: Any) -> RunRecord:
        if name.endswith("2") or recorded:
            record = add(name, *arguments, **options)
        if name.endswith("4"):
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    run.add_checkpoint = end_at_the_second  # type: ignore[method-assign]
    train(config, run, SilentReporter(), silent, world=join())
    os._exit(1)


def test_an_error_of_one_rank_is_said_with_its_number(runs: Path, config_file: str, tmp_path: Path) -> None:
    commands(1, runs, "prepare", "-c", config_file)  # the second machine has empty folders under the same names
    for folder in (runs / "prepared").glob("corpus-*"):
        (tmp_path / "two" / "prepared" / folder.name).mkdir(parents=True)
    first, second = commands(2, runs, "train", "-c", config_file, rank_1=tmp_path / "two")
    assert (first.code, second.code) == (1, 1)
    assert "error:" not in first.err
    assert second.err.startswith(f"error: rank 1: {tmp_path / 'two' / 'prepared'}")
    assert second.err.count("\n") == 1
