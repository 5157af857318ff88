"""A program that trains in child processes, kills each at another point, checks its files, and resumes it.

Arguments: a config, a stride and a list of seeds. The first children die at disk access 1, 1 + stride, and so on, until
one reaches its end. The others die after a time drawn with each seed. Runs are in KOTRANS_RUNS. Forking a process that
has imported torch makes each crash take a fraction of a second.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from kotrans.config.loading import load_config
from kotrans.config.schema import Config
from kotrans.runs.checkpoint import verify
from kotrans.runs.run import Run
from kotrans.storage.paths import runs_folder
from tests.tiny_training import train_tiny

_DISK_ACCESSES = {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}


def main(config_path: str, stride: str, *seeds: str) -> None:
    torch.set_num_threads(1)
    config = load_config(Path(config_path))
    train_tiny(config, Run(runs_folder() / "warm"))
    began = time.monotonic()
    train_tiny(config, Run(runs_folder() / "straight"))
    seconds = time.monotonic() - began
    access, killed = 1, True
    while killed:
        killed = _crash(config, Run(runs_folder() / f"access-{access:04d}"), access=access)
        access += int(stride)
    for seed in seeds:
        _crash(config, Run(runs_folder() / f"seed-{seed}"), seconds=random.Random(int(seed)).random() * seconds)


def _crash(config: Config, run: Run, access: int | None = None, seconds: float | None = None) -> bool:
    """Trains with a crash and resumes; returns whether the crash came before the end."""
    try:
        killed = _in_child(lambda: _train_until(access, config, run), seconds)
        _check_leftovers(run)
        assert not _in_child(lambda: train_tiny(config, run, resume=run.folder.exists()))
    except BaseException as error:
        error.add_note(f"{run.name}, killed at disk access {access} or after {seconds} s")
        raise
    return killed


def _in_child(act: Callable[[], object], seconds: float | None = None) -> bool:
    """Runs `act` in a child process, killed after the given time; returns whether the child was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"the child ended with {status}"
    return status != 0


def _train_until(access: int | None, config: Config, run: Run) -> None:
    """Trains, and dies just before the given access to the run's files."""
    left = access or 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _DISK_ACCESSES and run.name in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    train_tiny(config, run)


def _check_leftovers(run: Run) -> None:
    """Asserts that run.json is intact and lists intact checkpoints, if the run was created."""
    if run.folder.exists():
        record = run.record()
        for name in record.kept:
            verify(run.checkpoint(name))
        if record.last is not None:
            verify(run.checkpoint("last"))
            verify(run.checkpoint("best"))


if __name__ == "__main__":
    main(*sys.argv[1:])
