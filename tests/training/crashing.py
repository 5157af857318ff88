"""A process of its own that trains in children, kills each at another moment, and resumes it.

Called with a config and two numbers: each of the first children dies at so many more touches of its run's files than
the one before, until one lives to its end, and so many others die at a random moment. The runs lie in KOTRANS_RUNS.
Between kill and resume it checks what a crash may leave. Torch is imported once, so that a crash takes no seconds.
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

_TOUCHES = {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}


def main(config_path: str, stride: str, moments: str) -> None:
    torch.set_num_threads(1)
    config = load_config(Path(config_path))
    train_tiny(config, Run(runs_folder() / "warm"))
    began = time.monotonic()
    train_tiny(config, Run(runs_folder() / "straight"))
    seconds = time.monotonic() - began
    touch, killed = 1, True
    while killed:
        killed = _crash(config, Run(runs_folder() / f"touch-{touch:04d}"), touch=touch)
        touch += int(stride)
    draw = random.Random(1)
    for number in range(int(moments)):
        _crash(config, Run(runs_folder() / f"moment-{number}"), seconds=draw.random() * seconds)


def _crash(config: Config, run: Run, touch: int | None = None, seconds: float | None = None) -> bool:
    """Trains with a crash and resumes; true if the crash came before the end."""
    killed = _in_child(lambda: _train_until(touch, config, run), seconds)
    _check_leftovers(run)
    assert not _in_child(lambda: train_tiny(config, run, resume=run.folder.exists()))
    return killed


def _in_child(act: Callable[[], object], seconds: float | None = None) -> bool:
    """True if the child was killed, which happens after so many seconds."""
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


def _train_until(touch: int | None, config: Config, run: Run) -> None:
    """Trains, and dies just before the given touch of the run's files."""
    left = touch or 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _TOUCHES and run.name in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    train_tiny(config, run)


def _check_leftovers(run: Run) -> None:
    """run.json is whole and names whole checkpoints, if the run has come to be at all."""
    if run.folder.exists():
        record = run.record()
        for name in record.kept:
            verify(run.checkpoint(name))
        if record.last is not None:
            verify(run.checkpoint("last"))
            verify(run.checkpoint("best"))


if __name__ == "__main__":
    main(*sys.argv[1:])
