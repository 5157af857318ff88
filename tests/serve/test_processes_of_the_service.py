"""A service with several worker processes, which are killed and stopped."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from kotrans.storage.files import read_lines
from tests.serve.conftest import Service, serving
from tests.tiny_run import TinyRun

pytestmark = pytest.mark.e2e

_SECONDS = 60  # timeout


def translate(service: Service, **request: Any) -> httpx.Response:
    with service.client() as client:
        return client.post("/translate", json=request)


def test_two_processes_return_what_one_returns(tiny_run: TinyRun, service: Service) -> None:
    lines = [*read_lines(tiny_run.folder / "test.ko")[:40], "", "나무 " * 90]
    requests = [{"text": line, "beam": 1 + n % 3, "attention": n % 2 == 0} for n, line in enumerate(lines)]
    with serving(tiny_run, "--set", "hardware.threads=2") as two, ThreadPoolExecutor(16) as clients:
        two.children(2)
        answers = list(clients.map(lambda request: translate(two, **request).json(), requests))
        together = translate(two, text=lines, beam=2).json()
    for request, answer in zip(requests, answers, strict=True):
        expected = translate(service, **request).json()["translations"]
        for found, alone in zip(answer["translations"], expected, strict=True):
            assert found["text"] == alone["text"]
            for one, other in zip(found["hypotheses"], alone["hypotheses"], strict=True):
                assert one["score"] == pytest.approx(other["score"], abs=1e-5)
                words = [[part["target_words"] for part in each["attention"] or []] for each in (one, other)]
                assert words[0] == words[1]
    texts = [each["text"] for each in together["translations"]]
    assert texts == [each["text"] for each in translate(service, text=lines, beam=2).json()["translations"]]


def test_a_killed_process_is_restarted_and_its_requests_succeed(tiny_run: TinyRun) -> None:
    with serving(tiny_run, "--set", "hardware.threads=2") as service, ThreadPoolExecutor(1) as client:
        service.children(2)
        assert translate(service, text=["나무"] * 8).status_code == 200
        long = client.submit(translate, service, text=["나무 " * 200] * 30, beam=5)
        time.sleep(0.3)
        for pid in service.children(2):
            os.kill(pid, signal.SIGKILL)
        assert long.result(_SECONDS).status_code == 200
        assert translate(service, text=["나무"] * 8).status_code == 200
        pids = service.children()
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)  # none outlives the service


def test_a_request_whose_process_is_killed_twice_fails_with_503(tiny_run: TinyRun) -> None:
    with serving(tiny_run, "--set", "hardware.threads=2") as service, ThreadPoolExecutor(1) as client:
        long = client.submit(translate, service, text=["나무 " * 200] * 30, beam=5)
        while not long.done():
            for pid in service.children():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        answer = long.result()
        assert answer.status_code == 503
        assert "a process that was translating was killed; free some memory" in answer.json()["error"]
        assert answer.headers["retry-after"] == "1"
        assert translate(service, text="나무").status_code == 200


def test_sigterm_to_all_processes_finishes_running_requests(tiny_run: TinyRun) -> None:
    with serving(tiny_run, "--set", "hardware.threads=2") as service, ThreadPoolExecutor(1) as client:
        workers = service.children(2)
        assert translate(service, text=["나무"] * 60).status_code == 200
        long = client.submit(translate, service, text=["나무 " * 200] * 30, beam=5)
        time.sleep(0.3)
        for pid in (*workers, service.process.pid):
            os.kill(pid, signal.SIGTERM)
        seen = set(workers)
        while not long.done():
            seen.update(service.children())
            time.sleep(0.01)
        assert long.result().status_code == 200
        assert seen == set(workers)  # no process was replaced
        assert service.process.wait(_SECONDS) == 0
