"""A service with several cores: a process on each, real ones, that are killed and told to stop."""

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

_SECONDS = 60  # until a test gives up


def ask(service: Service, **question: Any) -> httpx.Response:
    with service.client() as client:
        return client.post("/translate", json=question)


def test_two_processes_answer_as_one_does(tiny_run: TinyRun, service: Service) -> None:
    lines = [*read_lines(tiny_run.folder / "test.ko")[:40], "", "나무 " * 90]
    questions = [{"text": line, "beam": 1 + n % 3, "attention": n % 2 == 0} for n, line in enumerate(lines)]
    with serving(tiny_run, "--set", "hardware.threads=2") as two, ThreadPoolExecutor(16) as clients:
        two.children(2)
        answers = list(clients.map(lambda question: ask(two, **question).json(), questions))
        together = ask(two, text=lines, beam=2).json()
    for question, answer in zip(questions, answers, strict=True):
        expected = ask(service, **question).json()["translations"]
        for found, alone in zip(answer["translations"], expected, strict=True):
            assert found["text"] == alone["text"]
            for one, other in zip(found["hypotheses"], alone["hypotheses"], strict=True):
                assert one["score"] == pytest.approx(other["score"], abs=1e-5)
                words = [[part["target_words"] for part in each["attention"] or []] for each in (one, other)]
                assert words[0] == words[1]
    texts = [each["text"] for each in together["translations"]]
    assert texts == [each["text"] for each in ask(service, text=lines, beam=2).json()["translations"]]


def test_a_process_that_is_killed_is_started_anew_and_nobody_is_told(tiny_run: TinyRun) -> None:
    with serving(tiny_run, "--set", "hardware.threads=2") as service, ThreadPoolExecutor(1) as client:
        service.children(2)
        assert ask(service, text=["나무"] * 8).status_code == 200
        long = client.submit(ask, service, text=["나무 " * 200] * 30, beam=5)
        time.sleep(0.3)
        for pid in service.children(2):
            os.kill(pid, signal.SIGKILL)
        assert long.result(_SECONDS).status_code == 200
        assert ask(service, text=["나무"] * 8).status_code == 200
        pids = service.children()
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)  # none outlives the service


def test_what_gets_a_process_killed_twice_is_told_so(tiny_run: TinyRun) -> None:
    with serving(tiny_run, "--set", "hardware.threads=2") as service, ThreadPoolExecutor(1) as client:
        long = client.submit(ask, service, text=["나무 " * 200] * 30, beam=5)
        while not long.done():
            for pid in service.children():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        answer = long.result()
        assert answer.status_code == 503
        assert "a process that was translating was killed; free some memory" in answer.json()["error"]
        assert answer.headers["retry-after"] == "1"
        assert ask(service, text="나무").status_code == 200


def test_a_stop_that_reaches_all_processes_finishes_what_has_begun(tiny_run: TinyRun) -> None:
    with serving(tiny_run, "--set", "hardware.threads=2") as service, ThreadPoolExecutor(1) as client:
        workers = service.children(2)
        assert ask(service, text=["나무"] * 60).status_code == 200
        long = client.submit(ask, service, text=["나무 " * 200] * 30, beam=5)
        time.sleep(0.3)
        for pid in (*workers, service.process.pid):
            os.kill(pid, signal.SIGTERM)
        seen = set(workers)
        while not long.done():
            seen.update(service.children())
            time.sleep(0.01)
        assert long.result().status_code == 200
        assert seen == set(workers)  # by the processes that it had begun with
        assert service.process.wait(_SECONDS) == 0
