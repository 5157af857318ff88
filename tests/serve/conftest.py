"""Runs `kotrans serve` in a subprocess on a free port."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.tiny_run import TinyRun


class Service:
    """A running `kotrans serve` of the run `tiny`."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def client(self, token: str | None = None) -> httpx.Client:
        """Returns a client that ignores proxy settings."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def children(self, count: int | None = None) -> list[int]:
        """Process ids of its workers; waits until there are `count`."""
        until = time.monotonic() + 60
        while len(found := _workers_of(self.process.pid)) != count is not None and time.monotonic() < until:
            time.sleep(0.05)
        assert count in (None, len(found))
        return found


def _workers_of(parent: int) -> list[int]:
    pids = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent_of_process = int(status.read_text().rpartition(")")[2].split()[1])
            is_worker = b"spawn_main" in (status.parent / "cmdline").read_bytes()
        except OSError:  # the process has ended
            continue
        if parent_of_process == parent and is_worker:
            pids.append(int(status.parent.name))
    return pids


@contextmanager
def serving(
    tiny_run: TinyRun, *arguments: str, token: str | None = None, prepare: Callable[[], None] | None = None
) -> Iterator[Service]:
    """Starts a service; it must end with exit code 0 and without errors on standard error.

    prepare: called in its process before it starts.
    """
    environment = {**os.environ, "KOTRANS_RUNS": str(tiny_run.runs), "OMP_NUM_THREADS": "1"}
    environment |= {"KOTRANS_TOKEN": token} if token else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "kotrans", "serve", "--run", "tiny", "--port", "0", *arguments],
        stderr=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2], preexec_fn=prepare,
    )  # fmt: skip
    try:
        assert process.stderr
        assert process.stderr.readline().startswith("run tiny/update-"), process.stderr.read()
        yield Service(process, process.stderr.readline().split()[2])
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=60)
            assert (process.returncode, stderr) == (0, "stopped\n")
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def service(tiny_run: TinyRun) -> Iterator[Service]:
    """A service with the default limits, shared by all tests."""
    with serving(tiny_run) as running:
        yield running
