"""Two trainings started at the same time: two runs, or one run and one error, and no damage."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kotrans.runs.checkpoint import verify
from kotrans.runs.model_files import load_model_files
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import all_runs
from tests.tiny_run import write_config, write_pairs

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A config without any prepared stage."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    write_pairs(tmp_path)
    return str(write_config(tmp_path))


def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, text=True, encoding="utf-8",
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ends(processes: "list[subprocess.Popen[str]]") -> list[tuple[int, str]]:
    """Exit code and standard error of each process."""
    outputs = [process.communicate(timeout=240)[1] for process in processes]
    assert not any("Traceback" in each for each in outputs), outputs
    return [(process.returncode, each) for process, each in zip(processes, outputs, strict=True)]


def test_two_trainings_of_one_config_become_two_runs(config: str) -> None:
    found = ends([start("kotrans", "train", "-c", config) for _ in range(2)])
    assert [code for code, _ in found] == [0, 0], found
    runs = list(all_runs())
    assert sorted(run.name for run in runs) == ["tiny", "tiny-2"]
    assert all(run.record().status == "finished" for run in runs)
    one, two = (run.checkpoint("last") / "model.safetensors" for run in runs)
    assert one.read_bytes() == two.read_bytes()
    assert not list((runs[0].folder.parent / "prepared").glob(".*-*"))


def test_of_two_trainings_with_one_name_the_second_is_refused_and_the_first_finishes(
    config: str, tmp_path: Path
) -> None:
    found = sorted(ends([start("kotrans", "train", "-c", config, "--run", "mine") for _ in range(2)]))
    assert [code for code, _ in found] == [0, 2], found
    run = Run(tmp_path / "runs" / "mine")
    errors = found[1][1].splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {run.folder}: ")
    assert "choose another --run name" in errors[0]
    assert run.record().status == "finished"
    for name in run.record().kept:
        verify(run.checkpoints / name)


def test_an_address_in_use_is_reported_in_one_line(config: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ranks = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        ((code, stderr),) = ends([start("kotrans", "train", "-c", config, **ranks)])
    assert code == 2
    (line,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: --master-port {port}: address in use, by another training or program; give")


def test_several_processes_make_the_weights_that_torchrun_makes(config: str, tmp_path: Path) -> None:
    short = ["-c", config, "--set", "training.max_updates=4", "--set", "validation.every=4"]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "kotrans", "train"]
    found = ends([start("kotrans", "train", *short, "--processes", "2", "--run", "own")])
    found += ends([start(*launcher, *short, "--run", "torchrun")])
    assert [code for code, _ in found] == [0, 0], found
    assert "in each of 2 processes" in found[0][1]
    own, theirs = (
        Run(tmp_path / "runs" / name).checkpoint("last") / "model.safetensors" for name in ("own", "torchrun")
    )
    assert own.read_bytes() == theirs.read_bytes()


def test_an_error_of_several_processes_has_the_exit_code_of_one(config: str) -> None:
    process = start("kotrans", "train", "-c", config, "--processes", "2", "--set", "hardware.device=cuda")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 1, errors
    assert "error: " in errors
    assert "hardware.device: cuda is not available on this machine" in errors


def test_two_torchruns_use_different_addresses(config: str) -> None:
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "kotrans", "train"]
    short = ["-c", config, "--set", "training.max_updates=4", "--set", "validation.every=4"]
    found = ends([start(*launcher, *short, "--run", name) for name in ("a", "b")])
    assert [code for code, _ in found] == [0, 0], found
    assert sorted(run.name for run in all_runs()) == ["a", "b"]


def test_ranks_start_from_the_weights_of_the_leader_s_base(config: str, tmp_path: Path) -> None:
    ((code, stderr),) = ends([start("kotrans", "train", "-c", config, "--run", "old")])
    assert code == 0, stderr
    still = ["--set", "training.learning_rate=1e-9", "--set", "training.max_updates=2"]
    command = ["kotrans", "train", "-c", config, "--run", "new", "--from", "old", "--processes", "2", *still]
    ((code, stderr),) = ends([start(*command)])
    assert code == 0, stderr
    old, new = (load_model_files(Run(tmp_path / "runs" / name).checkpoint("best")) for name in ("old", "new"))
    assert new.tokenizer.fingerprint == old.tokenizer.fingerprint
    for name, weight in old.weights.items():
        np.testing.assert_allclose(new.weights[name], weight, atol=1e-6)
