"""torchrun with real processes: whatever happens to one, all end, and the run goes on as if nothing had happened."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.config.loading import dump_config, load_config
from kotrans.runs.checkpoint import verify
from kotrans.runs.run import Run
from kotrans.storage.files import write_text
from tests.parallel.ranks import in_ranks
from tests.parallel.test_together import train_rank
from tests.tiny_training import assert_same_training, tiny_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config_file(text: Path, tmp_path: Path) -> str:
    config = tiny_config(
        text, training={"max_updates": 250, "ema": 0.9}, validation={"every": 200}, checkpoints={"every": 7}
    )
    write_text(tmp_path / "tiny.yaml", dump_config(config))
    return str(tmp_path / "tiny.yaml")


def torchrun(*arguments: str) -> "subprocess.Popen[str]":
    """Two ranks of the command; after `--`, torchrun leaves its options alone."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    return subprocess.Popen(
        [*launcher, "kotrans", *arguments], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def updates_of(run: Run) -> int:
    """The last update that metrics.jsonl speaks of."""
    lines = run.metrics.read_text("utf-8").split("\n") if run.metrics.exists() else []
    return max((json.loads(line)["update"] for line in lines[:-1]), default=0)


def wait_for_update(process: "subprocess.Popen[str]", run: Run, update: int) -> None:
    while updates_of(run) < update:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def process_of(launcher: "subprocess.Popen[str]", rank: int) -> int:
    """The process id of a rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher.pid and f"\0RANK={rank}\0" in (folder / "environ").read_text():
                return int(folder.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"torchrun has no rank {rank}")


def words(errors: str) -> list[str]:
    """What our processes said of the end, without what torchrun says itself."""
    # A rank that is killed may leave a line without its end before them.
    return [found[0] for line in errors.splitlines() if (found := re.search(r"(error: |stopped and ).*", line))]


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the ranks in /proc")
def test_killed_or_stopped_ranks_end_all_and_the_run_goes_on_to_the_same_weights(runs: Path, config_file: str) -> None:
    run, straight = Run(runs / "disturbed"), Run(runs / "straight")
    resume: list[str] = []
    # -9 to one rank or the other, then a polite signal to one rank and to torchrun.
    for number, rank in ((signal.SIGKILL, 1), (signal.SIGKILL, 0), (signal.SIGTERM, 1), (signal.SIGINT, None)):
        before = run.record().updates if resume else 0
        launcher = torchrun("train", "-c", config_file, "--run", run.name, *resume)
        wait_for_update(launcher, run, before + 20)
        other = process_of(launcher, 0 if rank else 1)
        os.kill(launcher.pid if rank is None else process_of(launcher, rank), number)
        output, errors = launcher.communicate(timeout=60)
        assert launcher.returncode != 0
        assert output == ""
        assert not Path(f"/proc/{other}").exists()
        last, updates = run.checkpoint("last"), run.record().updates
        verify(last)
        if number == signal.SIGKILL:
            who = "" if rank else "rank 1: "
            assert len(words(errors)) == 1, errors
            (said,) = words(errors)
            assert said.startswith(f"error: {who}{run.folder}: update ")
            assert "another process of this training has ended" in said
            assert said.endswith(f"; the last good checkpoint is {last}")
            assert updates % 7 == 0
        else:
            go_on = f"kotrans train --run {run.name} --resume"
            assert words(errors) == [f"stopped and saved at update {updates:,}; go on with: {go_on}"]
            assert f"exitcode  : {128 + number}" in errors or rank is None  # torchrun's own report
            assert updates_of(run) == updates
        resume = ["--resume"]
    config = load_config(Path(config_file))
    in_ranks(2, train_rank, config, [runs] * 2, run.name, None, True)
    in_ranks(2, train_rank, config, [runs] * 2, straight.name)
    assert_same_training(run, straight)
