"""Access checks (hosts, origins, token), request formats, and errors of the service."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.errors import DataError
from kotrans.parallel.memory import is_out_of_memory
from kotrans.serve.requests import RequestError, read_body
from kotrans.serve.schemas import Problem
from kotrans.serve.server import is_loopback
from kotrans.serve.worker import Finished, LocalWorker, WorkItem
from tests.held_translator import SECONDS, Held
from tests.serve.light import MEMORY, client, light_service

pytestmark = pytest.mark.e2e

JSON = {"content-type": "application/json"}


def error(response: httpx.Response) -> str:
    return Problem.model_validate_json(response.text).error


def hosts_of_this_machine() -> list[str]:
    """Loopback addresses and names that a socket can be bound to."""
    found = []
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost", socket.gethostname()):
        if is_loopback(host):
            try:
                family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
                socket.create_server(address[:2], family=family).close()
            except OSError:
                continue
            found.append(host)
    return found


@pytest.mark.parametrize("host", hosts_of_this_machine())
def test_every_printed_url_is_answered(host: str) -> None:
    with light_service(host=host) as url, client(url) as http:
        assert http.get("/health").status_code == 200
        port = urlsplit(url).port
        name = f"[{host}]" if ":" in host else host
        assert http.get("/health", headers={"host": f"{name}:{port}"}).status_code == 200
        assert http.get("/health", headers={"host": f"elsewhere.example:{port}"}).status_code == 403


def test_pages_of_other_origins_are_refused_unless_allowed() -> None:
    body = {"text": "a"}
    with light_service(allowed_origins=["https://mine.example"]) as url, client(url) as http:
        host = urlsplit(url).netloc
        own = [
            {}, {"origin": f"http://{host}"}, {"sec-fetch-site": "same-origin", "origin": "https://proxy.example"},
            {"sec-fetch-site": "none"}, {"origin": "https://proxy.example", "x-forwarded-host": "proxy.example"},
        ]  # fmt: skip
        for headers in own:
            assert http.post("/translate", json=body, headers=headers).status_code == 200, headers
        for headers in (
            {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site", "origin": "http://evil.localhost"}, {"origin": "http://["},
        ):  # fmt: skip
            refused = http.post("/translate", json=body, headers=headers)
            assert refused.status_code == 403, headers
            assert "serve.allowed_origins" in error(refused)
            assert "access-control-allow-origin" not in refused.headers
        mine = {"origin": "https://mine.example", "sec-fetch-site": "cross-site"}
        answer = http.post("/translate", json=body, headers=mine)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://mine.example")
        assert http.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200  # a link to the page


def test_preflight_requests_are_answered_with_the_reason_if_refused() -> None:
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    with light_service(allowed_origins=["https://mine.example"], token="t") as url, client(url) as http:
        allowed = http.options("/translate", headers=preflight | {"origin": "https://mine.example"})
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://mine.example"
        assert "content-type" in allowed.headers["access-control-allow-headers"]
        refused = http.options("/translate", headers=preflight | {"origin": "http://a"})
        assert refused.status_code == 403
        assert "pages of http://a may not use this service" in error(refused)


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, '{"text":"a"}', 200, ""),
        ({}, '{"text":"a"}', 200, ""),
        ({"content-type": "text/plain"}, ' {"text":"a"}', 200, ""),
        (JSON, "\ufeff" + '{"text":"a"}', 200, ""),
        ({"content-type": "application/x-www-form-urlencoded"}, "text=a", 200, ""),
        ({"content-type": "multipart/form-data; boundary=x"}, "--x", 415, "`content-type: application/json`"),
        ({}, "a", 400, "`content-type: application/json`"),
        (JSON, "a", 400, "invalid JSON (Expecting value at character 0)"),
        (JSON, '{"text": NaN}', 400, "NaN is not valid JSON"),
        (JSON, b'{"text":"\xb0\xa1\xb3\xaa"}', 400, "it may be cp949 (EUC-KR)"),
        (JSON, b'{"text":"\xff\xff"}', 400, "not UTF-8 (byte 0xff at 9)"),
        (JSON, gzip.compress(b'{"text":"a"}', mtime=0), 400, "gzip"),
        (JSON, '{"text":"a"}'.encode("utf-16"), 400, "UTF-16"),
        (JSON | {"content-encoding": "gzip"}, gzip.compress(b'{"text":"a"}', mtime=0), 415, "content-encoding: gzip"),
        ({"content-type": "application/x-www-form-urlencoded"}, "&".join(["a=b"] * 200), 422, "more than 100 fields"),
    ],
)
def test_other_formats_are_parsed_or_refused_with_what_to_send(
    headers: dict[str, str], body: str | bytes, status: int, message: str
) -> None:
    with light_service() as url, client(url) as http:
        answer = http.post("/translate", content=body if isinstance(body, bytes) else body.encode(), headers=headers)
        assert answer.status_code == status
        if status == 200:
            assert answer.json()["translations"][0]["text"] == "a"
        else:
            assert message in error(answer)


@given(body=st.binary(max_size=80), kind=st.sampled_from(["", "application/json", "application/x-www-form-urlencoded"]))
def test_any_bytes_are_parsed_or_refused_in_one_line(body: bytes, kind: str) -> None:
    refused = None
    try:
        read_body({"content-type": kind}, "", body)
    except RequestError as error:
        refused = error
    assert refused is None or (refused.status in (400, 415, 422) and "\n" not in str(refused))


def test_line_breaks_within_a_text_are_kept() -> None:
    with light_service() as url, client(url) as http:
        for text in ("a\nb\n\nc", "\na\r\n \r\nb\n", "a\rb", "\n\n", ""):
            (answer,) = http.post("/translate", json={"text": [text]}).json()["translations"]
            assert answer["text"] == text.replace(" ", "")
        answers = http.post("/translate", json={"text": ["a\nb", "c"]}).json()["translations"]
        assert [each["text"] for each in answers] == ["a\nb", "c"]


def test_long_paths_are_shortened_in_errors_and_head_is_answered() -> None:
    with light_service() as url, client(url) as http:
        missing = http.get("/" + "x" * 8000)
        assert missing.status_code == 404
        assert len(missing.content) < 300
        for path in ("/", "/health", "/metrics", "/openapi.json"):
            head = http.head(path)
            assert (head.status_code, head.content) == (200, b"")


def test_health_reports_starting_until_the_model_is_loaded() -> None:
    may_start, held = threading.Event(), Held()
    held.held.let_go()

    def start() -> LocalWorker:
        assert may_start.wait(SECONDS)
        return LocalWorker(held, MEMORY)

    with light_service(start=start, held=held) as url, client(url) as http:
        starting = http.get("/health")
        assert (starting.status_code, starting.json()["status"]) == (503, "starting")
        may_start.set()
        assert http.post("/translate", json={"text": "a"}).status_code == 200
        ready = http.get("/health")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes")])
def test_out_of_memory_is_answered_in_one_line_and_the_service_keeps_working(fault: Exception) -> None:
    assert is_out_of_memory(fault)
    held, faults = Held(), [fault]
    held.held.let_go()

    class Failing(LocalWorker):
        def __call__(
            self, joining: Sequence[WorkItem], dropped: Collection[int], interrupted: Callable[[], bool] | None = None
        ) -> list[Finished]:
            if faults and joining:
                raise faults.pop()
            return super().__call__(joining, dropped, interrupted)

    with light_service(start=lambda: Failing(held, MEMORY), held=held) as url, client(url) as http:
        answer = http.post("/translate", json={"text": "a"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert error(answer).startswith("out of memory; send fewer sentences")
        assert http.post("/translate", json={"text": "a"}).status_code == 200


def test_requests_fail_with_503_if_the_model_cannot_be_loaded() -> None:
    def start() -> LocalWorker:
        raise DataError("a process that was translating was killed")

    with light_service(start=start) as url, client(url) as http:
        assert http.get("/health").status_code == 503
        assert http.post("/translate", json={"text": "a"}).status_code == 503


def test_connections_over_the_limit_replace_idle_ones() -> None:
    with light_service(max_connections=4) as url, client(url) as http:
        parts = urlsplit(url)
        idle = [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(20)]
        for _ in range(5):
            assert http.post("/translate", json={"text": "a"}).status_code == 200
        for connection in idle:
            connection.close()


def test_a_connection_over_the_limit_is_refused_if_none_is_idle() -> None:
    with light_service(max_connections=4, max_seconds=5) as url, client(url) as http, ExitStack() as stack:
        parts = urlsplit(url)
        head = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n"
        address = parts.hostname or "", parts.port or 0
        busy = [stack.enter_context(socket.create_connection(address)) for _ in range(4)]
        for connection in busy:
            connection.sendall(head)
        for connection in busy:  # the service has read every header and waits for the bodies
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        refused = http.get("/health")
        assert refused.status_code == 503
        assert "4 connections are already open" in error(refused)
        for connection in busy:
            with connection.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 408 ")


def test_attention_over_the_limit_of_weights_is_refused() -> None:
    with light_service(max_weights=50) as url, client(url) as http:
        few = http.post("/translate", json={"text": "a", "attention": True})
        assert few.status_code == 200
        many = http.post("/translate", json={"text": "a b", "attention": True})
        assert many.status_code == 422
        assert error(many).startswith("attention: the response could have 80 weights, which exceeds the limit of 50")
        assert http.post("/translate", json={"text": "a b"}).status_code == 200


def test_a_request_larger_than_the_queue_is_refused() -> None:
    with light_service(max_waiting=10) as url, client(url) as http:
        refused = http.post("/translate", json={"text": "a " * 6, "beam": 2})
        assert refused.status_code == 422
        assert "serve.max_waiting (10)" in error(refused)
        assert http.post("/translate", json={"text": "a " * 5, "beam": 2}).status_code == 200


def test_json_numbers_of_thousands_of_digits_are_refused() -> None:
    assert json.loads(json.dumps({"a": 1})) == read_body(JSON, "", b'{"a": 1}')
    with pytest.raises(RequestError, match="too long"):
        read_body(JSON, "", b'{"a": ' + b"9" * 9999 + b"}")
