"""Denial of service: long texts, many open connections, clients that do not read."""

import json
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from kotrans.serve.schemas import Problem
from tests.serve.conftest import Service, serving
from tests.tiny_run import TinyRun

pytestmark = pytest.mark.e2e

MANY_SENTENCES = "네. " * 666  # the allowed line with the most sentences
MANY_PIECES = "뷁쀍 " * 666  # the allowed line with the most pieces: three bytes per syllable
MEMORY = 200_000_000
LISTENER = 500_000_000
HEAD = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def attacked(tiny_run: TinyRun) -> Iterator[Service]:
    """Two workers with little memory each."""
    limits = [f"serve.max_memory={MEMORY}", "serve.max_seconds=20", "serve.max_head_seconds=2", "hardware.threads=2"]
    with serving(tiny_run, *(f"--set={limit}" for limit in limits)) as running:
        yield running


def peak(pid: int) -> int:
    """Peak memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def connect(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)


def worst_requests() -> Iterator[dict[str, object]]:
    """Requests at and over the limits of parts, pieces, hypotheses and weights."""
    yield {"text": [MANY_SENTENCES], "beam": 20, "n_best": 20, "attention": True}
    yield {"text": [MANY_SENTENCES], "beam": 20, "n_best": 20, "attention": "all"}
    yield {"text": [MANY_SENTENCES] * 256, "beam": 20, "n_best": 20}
    yield {"text": [MANY_PIECES] * 2, "beam": 20, "n_best": 20}
    yield {"text": [MANY_PIECES], "beam": 20, "n_best": 20, "split_sentences": False}
    yield {"text": ["나무 의자 " * 20] * 60, "beam": 20, "n_best": 20, "attention": True}
    yield {"text": "네.\n" * 1000, "beam": 20, "n_best": 20}
    yield {"text": "\n" * 450_000}
    yield {"text": ["\n" * 400] * 1000}


@pytest.mark.timeout(900)
def test_no_request_makes_a_worker_or_the_listener_exceed_its_memory_limit(attacked: Service) -> None:
    workers = attacked.children(2)
    with attacked.client() as client:
        assert client.post("/translate", json={"text": ["나무"] * 8}).status_code == 200
        before = {pid: peak(pid) for pid in (*workers, attacked.process.pid)}

        def ask(body: dict[str, object]) -> int:
            return httpx.post(f"{attacked.url}translate", json=body, timeout=90, trust_env=False).status_code

        with ThreadPoolExecutor(8) as clients:
            statuses = list(clients.map(ask, [body for body in worst_requests() for _ in range(2)]))
        assert set(statuses) <= {200, 422, 503, 504}
        assert 200 in statuses or 504 in statuses  # at least one was translated
        assert client.post("/translate", json={"text": "나무"}).status_code == 200
    assert attacked.children(2) == workers  # none was killed and restarted
    grown = {pid: peak(pid) - peak_before for pid, peak_before in before.items()}
    print(statuses, [f"{bytes_ / 1e6:.0f} MB" for bytes_ in grown.values()])
    assert all(grown[pid] < MEMORY for pid in workers)
    assert grown[attacked.process.pid] < LISTENER


def test_a_short_sentence_is_translated_while_long_texts_are_in_progress(attacked: Service) -> None:
    with ThreadPoolExecutor(20) as clients, attacked.client() as client:
        body = {"text": MANY_SENTENCES, "beam": 5}
        long = [clients.submit(httpx.post, f"{attacked.url}translate", json=body, timeout=90) for _ in range(6)]
        while float(figure(client, "kotrans_batch_sentences_sum")) == 0 and not all(each.done() for each in long):
            time.sleep(0.01)
        short = client.post("/translate", json={"text": "나무"})
        unfinished = [each for each in long if not each.done()]
        assert short.status_code == 200
        assert unfinished, "the long requests were already done: nothing was tested"


def figure(client: httpx.Client, name: str) -> str:
    return next(line.split()[1] for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} "))


def test_the_request_of_a_disconnected_client_is_cancelled(attacked: Service) -> None:
    with attacked.client() as client:
        body = json.dumps({"text": [MANY_PIECES], "beam": 20}).encode()
        with connect(attacked) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.5)
        assert client.post("/translate", json={"text": "나무"}).status_code == 200
        time.sleep(0.5)
        at_rest = figure(client, "kotrans_batch_sentences_count")
        time.sleep(1)
        assert figure(client, "kotrans_batch_sentences_count") == at_rest


def test_incomplete_headers_and_silent_connections_are_closed_after_the_timeout(attacked: Service) -> None:
    with ExitStack() as stack:
        partial = [stack.enter_context(connect(attacked)) for _ in range(60)]
        silent = [stack.enter_context(connect(attacked)) for _ in range(30)]
        for connection in partial:
            connection.sendall(HEAD[:40])
        with attacked.client() as client:
            assert client.get("/health").status_code == 200
        for connection in partial:
            answer = connection.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert (
                "request header not received within 2 s"
                in Problem.model_validate_json(answer.partition(b"\r\n\r\n")[2]).error
            )
        for connection in silent:
            assert connection.makefile("rb").read().startswith((b"HTTP/1.1 408 ", b""))


def test_bytes_sent_one_by_one_do_not_extend_the_header_timeout(attacked: Service) -> None:
    with connect(attacked) as connection:
        connection.settimeout(0.3)
        answer, until = b"", time.monotonic() + 60
        while not answer and time.monotonic() < until:
            connection.sendall(b"x")
            try:
                answer = connection.recv(100)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_low_limit_of_open_files_does_not_block_the_service(tiny_run: TinyRun) -> None:
    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))

    with serving(tiny_run, "--set=hardware.threads=2", prepare=limit_files) as service, ExitStack() as stack:
        for _ in range(150):
            connection = stack.enter_context(connect(service))
            connection.sendall(HEAD[:40])
        with service.client() as client:
            for _ in range(3):
                assert client.get("/health").status_code == 200
            assert client.post("/translate", json={"text": "나무"}).status_code == 200
    # `serving` checks that nothing was written to standard error.


def test_a_client_that_does_not_read_its_response_is_disconnected(attacked: Service) -> None:
    body = json.dumps({"text": ["나무 의자 사과 우유 " * 6] * 60, "attention": True}).encode()
    with socket.socket() as connection, attacked.client() as client:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        parts = urlsplit(attacked.url)
        connection.connect((parts.hostname or "", parts.port or 0))
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert connection.recv(20).startswith(b"HTTP/1.1 ")
        until = time.monotonic() + 60
        while established(attacked) > 1 and time.monotonic() < until:  # apart from that of `client`
            assert client.get("/health").status_code == 200
            time.sleep(0.5)
        assert established(attacked) == 1


def established(service: Service) -> int:
    """Number of open connections of the service."""
    port = urlsplit(service.url).port or 0
    rows = (line.split() for line in Path("/proc/net/tcp").read_text("utf-8").splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
