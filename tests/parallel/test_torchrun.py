"""torchrun with real processes: if one ends, all end, and the run can be resumed without a difference."""

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

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config_file(text: Path, tmp_path: Path) -> str:
    config = tiny_config(
        text, training={"max_updates": 250, "ema": 0.9}, validation={"every": 200}, checkpoints={"every": 7}
    )
    write_text(tmp_path / "tiny.yaml", dump_config(config))
    return str(tmp_path / "tiny.yaml")


def torchrun(*arguments: str) -> "subprocess.Popen[str]":
    """Starts the command with two ranks; torchrun does not parse options after `--`."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    return subprocess.Popen(
        [*launcher, "kotrans", *arguments], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def updates_of(run: Run) -> int:
    """Returns the last update in metrics.jsonl."""
    lines = run.metrics.read_text("utf-8").split("\n") if run.metrics.exists() else []
    return max((json.loads(line)["update"] for line in lines[:-1]), default=0)


def wait_for_update(process: "subprocess.Popen[str]", run: Run, update: int) -> None:
    while updates_of(run) < update:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def process_of(launcher: "subprocess.Popen[str]", rank: int) -> int:
    """Returns the process id of a rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher.pid and f"\0RANK={rank}\0" in (folder / "environ").read_text():
                return int(folder.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"torchrun has no rank {rank}")


def final_messages(errors: str) -> list[str]:
    """Returns the messages of the ranks at their end, without those of torchrun."""
    # A killed rank may leave an incomplete line before them.
    return [found[0] for line in errors.splitlines() if (found := re.search(r"(error: |stopped and ).*", line))]


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the ranks in /proc")
def test_a_killed_or_stopped_rank_ends_all_ranks_and_the_resumed_run_has_the_same_weights(
    runs: Path, config_file: str
) -> None:
    run, straight = Run(runs / "disturbed"), Run(runs / "straight")
    resume: list[str] = []
    # SIGKILL to either rank, then a stop signal to one rank and to torchrun.
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
            assert len(final_messages(errors)) == 1, errors
            (message,) = final_messages(errors)
            assert message.startswith(f"error: rank {0 if rank else 1}: {run.folder}: update ")
            assert "another process of this training has ended" in message
            assert message.endswith(f"; the last good checkpoint is {last}")
            assert updates % 7 == 0
        else:
            (message,) = final_messages(errors)
            assert message.startswith(f"stopped and saved at update {updates:,}; ")
            assert message.endswith(f": kotrans train --run {run.name} --resume")
            assert f"exitcode  : {128 + number}" in errors or rank is None  # torchrun's own report
            assert updates_of(run) == updates
        resume = ["--resume"]
    config = load_config(Path(config_file))
    in_ranks(2, train_rank, config, [runs] * 2, run.name, None, True)
    in_ranks(2, train_rank, config, [runs] * 2, straight.name)
    assert_same_training(run, straight)
