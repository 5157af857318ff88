"""Crashes and signals: a resumed run is bitwise equal to an uninterrupted one and has no leftover files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kotrans.config.loading import dump_config
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import find_run
from kotrans.storage.files import write_text
from tests.tiny_training import assert_same_training, tiny_config, train_tiny

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SEEDS = range(6)  # of the time after which a training is killed


def start(*arguments: str) -> "subprocess.Popen[str]":
    """Starts a Python process in the repository and captures its output."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kotrans(*arguments: str) -> "subprocess.Popen[str]":
    return start("-m", "kotrans", *arguments)


def wait_for_update(process: "subprocess.Popen[str]", run: Run, update: int) -> None:
    """Returns when the run's metrics contain the update or the process has ended."""
    while process.poll() is None:
        lines = run.metrics.read_text("utf-8").split("\n") if run.metrics.exists() else []
        if any(json.loads(line)["update"] >= update for line in lines[:-1]):
            return
        time.sleep(0.002)


def files_of(run: Run) -> list[str]:
    return sorted(path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*"))


def test_a_run_killed_at_any_disk_access_or_moment_resumes_bitwise_equal(
    runs: Path, text: Path, tmp_path: Path
) -> None:
    config = tiny_config(text, training={"max_updates": 4, "ema": 0.9}, checkpoints={"keep": 1})
    write_text(tmp_path / "tiny.yaml", dump_config(config))
    process = start("-m", "tests.training.crashing", str(tmp_path / "tiny.yaml"), "11", *map(str, SEEDS))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    straight = Run(runs / "straight")
    by_access, by_time = sorted(runs.glob("access-*")), sorted(runs.glob("seed-*"))
    assert len(by_access) > 10
    assert len(by_time) == len(SEEDS)
    for run in map(Run, [*by_access, *by_time]):
        print(run.name)  # shown if the test fails
        assert_same_training(run, straight)
        assert files_of(run) == files_of(straight)


def test_a_killed_command_resumes_to_the_same_weights(runs: Path, text: Path, tmp_path: Path) -> None:
    training = {"max_updates": 30, "accumulate": 2, "ema": 0.9}
    config = tiny_config(text, training=training, validation={"every": 10, "patience": None}, checkpoints={"every": 4})
    write_text(tmp_path / "tiny.yaml", dump_config(config))
    straight, run = Run(runs / "straight"), Run(runs / "killed")
    train_tiny(config, straight)
    process = kotrans("train", "-c", str(tmp_path / "tiny.yaml"), "--run", "killed")
    wait_for_update(process, run, 5)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert run.record().status == "training"
    process = kotrans("train", "--run", "killed", "--resume")
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "test: 10 sentences" in output
    assert_same_training(run, straight)
    assert find_run(None).name == "killed"


def test_ctrl_c_and_sigterm_save_and_print_how_to_resume(runs: Path, text: Path, tmp_path: Path) -> None:
    config = tiny_config(text, training={"max_updates": 100_000}, validation={"every": 100_000})
    write_text(tmp_path / "tiny.yaml", dump_config(config))
    run, stopped_at = Run(runs / "tiny"), 0
    resume: list[str] = []
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = kotrans("train", "-c", str(tmp_path / "tiny.yaml"), *resume)
        wait_for_update(process, run, stopped_at + 2)
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == code, errors
        assert output == ""
        stopped_at = run.record().updates
        message = f"stopped and saved at update {stopped_at:,}; resume with: kotrans train --run tiny --resume"
        assert errors.splitlines()[-1] == message
        assert run.record().last == f"update-{stopped_at:08d}"
        assert json.loads(run.metrics.read_text("utf-8").splitlines()[-1])["update"] == stopped_at
        resume = ["--resume"]


def test_sigterm_saves_without_waiting_for_the_validation(runs: Path, text: Path, tmp_path: Path) -> None:
    # With a beam this wide, translating the dev split takes minutes.
    config = tiny_config(
        text, validation={"every": 1, "beam": 900}, search={"max_length_ratio": 50, "max_length_extra": 5000}
    )
    write_text(tmp_path / "tiny.yaml", dump_config(config))
    run, straight = Run(runs / "tiny"), Run(runs / "straight")
    process = kotrans("train", "-c", str(tmp_path / "tiny.yaml"))
    wait_for_update(process, run, 1)
    time.sleep(1)  # until the validation is translating
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors.splitlines()[-1].startswith("stopped and saved at update 1; resume with: kotrans train --run tiny")
    assert run.record().last == "update-00000001-before-validation"
    quick = tiny_config(text, validation={"every": 1}, search={"max_length_ratio": 50, "max_length_extra": 5000})
    train_tiny(quick, run, resume=True)
    train_tiny(quick, straight)
    assert_same_training(run, straight)
