"""Limits of the service, its token, shutdown, and errors at the start."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from kotrans.serve.schemas import Problem
from tests.serve.conftest import Service, serving
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e

TOKEN = "open-sesame"
LIMITS = (
    "serve.max_waiting=20", "serve.max_seconds=2", "serve.max_body=300", "search.batch=1", "hardware.threads=2"
)  # fmt: skip


@pytest.fixture(scope="module")
def tight(tiny_run: TinyRun) -> Iterator[Service]:
    with serving(tiny_run, *(f"--set={limit}" for limit in LIMITS), token=TOKEN) as running:
        yield running


@contextmanager
def paused(processes: Sequence[int]) -> Iterator[None]:
    """Pauses the processes inside the block."""
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def problem(response: httpx.Response) -> str:
    return Problem.model_validate_json(response.text).error


def waiting(client: httpx.Client) -> int:
    lines = client.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith("kotrans_waiting_sentences ")).split()[1]))


def test_requests_time_out_with_504_and_a_full_queue_answers_503(tight: Service) -> None:
    with tight.client(TOKEN) as client, ThreadPoolExecutor() as pool, paused(tight.children(2)):
        first = pool.submit(client.post, "/translate", json={"text": "나무"})
        time.sleep(0.2)
        others = []
        while waiting(client) == 0:  # each process has taken one
            others.append(pool.submit(client.post, "/translate", json={"text": "나무"}))
            time.sleep(0.2)
        full = client.post("/translate", json={"text": ["나무"] * 4})
        assert (full.status_code, full.headers["retry-after"]) == (503, "1")
        assert "1 lines are waiting" in problem(full)
        late = first.result()
        assert late.status_code == 504
        assert "not translated within 2 s" in problem(late)
        assert {each.result().status_code for each in others} == {504}
        # Cancelled requests free their places in the queue.
        assert client.post("/translate", json={"text": ["나무"] * 4}).status_code == 504


def test_a_body_that_is_not_completed_in_time_is_answered_408(tight: Service) -> None:
    parts = urlsplit(tight.url)
    head = f"POST /translate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99\r\n\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as slow:
        slow.sendall(head.encode() + b'{"text": ')
        answer = slow.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "request body not received within 2 s" in answer


@pytest.mark.parametrize("given", [None, "open-sesam", "open-sesame2", "Öffne"])
def test_without_the_token_only_the_page_and_health_are_served(tight: Service, given: str | None) -> None:
    headers = {b"authorization": f"Bearer {given}".encode("latin-1")} if given else {}
    with tight.client() as client:
        for method, path in (("POST", "/translate"), ("GET", "/metrics"), ("GET", "/openapi.json")):
            response = client.request(method, path, headers=headers)
            expected = ("Bearer", "the token is missing") if given is None else (
                'Bearer error="invalid_token"', "the token is wrong"
            )  # fmt: skip
            assert (response.status_code, response.headers["www-authenticate"]) == (401, expected[0])
            assert problem(response).startswith(expected[1])
        assert client.get("/").status_code == client.get("/health").status_code == 200
    with tight.client(TOKEN) as client:
        assert client.post("/translate", json={"text": "나" * 300}).status_code == 413
        schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
        assert [scheme["scheme"] for scheme in schemes.values()] == ["bearer"]


def test_errors_of_the_middleware_are_documented_for_every_operation(tight: Service, service: Service) -> None:
    with tight.client(TOKEN) as client:
        with_token = client.get("/openapi.json").json()
        answered = {
            client.request(method, path, content=content, headers=headers).status_code
            for method, path, content, headers in [
                ("POST", "/translate", b"x" * 301, {}),
                ("GET", "/health", b"x" * 301, {}),
                ("POST", "/translate", b"{}", {"authorization": "Bearer no"}),
                ("POST", "/translate", b"{}", {"host": "elsewhere.example"}),
            ]
        }
    with service.client() as client:
        without = client.get("/openapi.json").json()
    assert answered == {401, 403, 413}
    for document, secured in ((with_token, {"/metrics", "/translate", "/detect", "/languages"}), (without, set())):
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert {"403", "408", "413", "500", "503"} <= set(operation["responses"])
                assert ("401" in operation["responses"]) == (path in secured)


def test_sigterm_finishes_running_requests_and_exits_with_0(tiny_run: TinyRun) -> None:
    with serving(tiny_run) as running:
        parts = urlsplit(running.url)
        body = json.dumps({"text": ["저는 새 나무를 봅니다."] * 100}).encode()
        head = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:100])
            with running.client() as client:
                assert client.get("/health").status_code == 200  # by now the header has been read
            running.process.terminate()
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:  # until it accepts no more connections
                try:
                    socket.create_connection((parts.hostname or "", parts.port or 0)).close()
                except ConnectionError:
                    break
            connection.sendall(body[100:])
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["translations"]) == 100
        _, stderr = running.process.communicate(timeout=60)
        assert (running.process.returncode, stderr) == (0, "stopped\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "--host 0.0.0.0: other machines could reach the service; set a token"),
        (["--token", "두 낱말"], 2, "--token: use one or more printable ASCII"),
        (["--token", "two words"], 2, "--token: use one or more printable ASCII characters, without spaces"),
        (["--set", 'serve.allowed_origins=["example.org"]'], 1, "'example.org' is not an origin"),
        (["--token", ""], 2, "--token: use one or more printable ASCII"),
        (["--set", "training.max_updates=3"], 1, "takes settings of `search` and `hardware` and `serve` only"),
        (["--port", "70000"], 2, "--port"),
        (["--host", "a..b", "--token", "x"], 2, "cannot listen on a..b port 8000 ("),
        (["--host", "no-such-host.invalid", "--token", "x"], 2, "cannot listen on no-such-host.invalid"),
    ],
)
def test_invalid_options_are_refused_before_serving(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    result = kotrans("serve", "--run", "tiny", *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err


def test_a_missing_token_is_reported_before_the_model_is_loaded(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_run.runs / "tiny", tmp_path / "tiny")
    for weights in tmp_path.glob("tiny/checkpoints/*/*.safetensors"):
        weights.write_bytes(b"")
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path))
    errors = {host: kotrans("serve", "--run", "tiny", "--host", host).err for host in ("0.0.0.0", "127.0.0.1")}
    assert "other machines could reach the service" in errors["0.0.0.0"]
    assert "damaged" in errors["127.0.0.1"]


def test_a_port_in_use_is_reported(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = kotrans("serve", "--run", "tiny", "--port", str(port))
    assert result.code == 2
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use); choose another" in result.err


def test_a_missing_package_is_reported_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kotrans.cli.serve_command.find_spec", lambda name: None if name == "uvicorn" else object())
    result = kotrans("serve")
    assert (result.code, result.err) == (2, "error: uvicorn is not installed; run pip install 'kotrans[serve]'\n")
