"""Malformed requests: each is answered or dropped, and the service keeps working."""

import json
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.serve.schemas import Problem, TranslateResponse
from tests.serve.conftest import Service

pytestmark = pytest.mark.e2e

MANY = json.dumps({"text": ["저는 새 나무를 봅니다."] * 100, "attention": "all", "beam": 4, "n_best": 4}).encode()


def head(length: int, *more: bytes) -> bytes:
    lines = [
        b"POST /translate HTTP/1.1", b"Host: localhost", b"Content-Type: application/json",
        b"Content-Length: %d" % length, *more,
    ]  # fmt: skip
    return b"\r\n".join([*lines, b"", b""])


def connect(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)


def reset(connection: socket.socket) -> None:
    """Resets the connection, as a lost network does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send(service: Service, request: bytes) -> tuple[int, bytes]:
    """Status and body of the response to a request."""
    with connect(service) as connection:
        connection.sendall(request)
        response = connection.makefile("rb").read()
    begin, _, body = response.partition(b"\r\n\r\n")
    return int(begin.split()[1]), body


def is_working(service: Service) -> bool:
    with service.client() as client:
        return client.get("/health").status_code == client.post("/translate", json={"text": "나무"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"text": "\xeb\x82\x98"', 400, id="truncated"),
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"\x00" * 1000, 400, id="NUL bytes"),
        pytest.param(b'{"text": "\xeb\x82"}', 400, id="incomplete UTF-8"),
        pytest.param(b'{"text": "a\x00b"}', 400, id="NUL in a string"),
        pytest.param(b'{"text": "\\u0000a\\u0000"}', 200, id="escaped NUL"),
        pytest.param(b'{"text": ["\\ud800", "a \\udfff\\ud800"], "attention": true}', 200, id="lone surrogates"),
        pytest.param(b"[" * 900_000, 400, id="unclosed nested lists"),
        pytest.param(b'{"text": ' + b"[" * 450_000 + b"]" * 450_000 + b"}", 400, id="nested lists"),
        pytest.param(b'{"a":' * 150_000 + b"1" + b"}" * 150_000, 400, id="nested objects"),
        pytest.param(b'{"text": "a", "beam": 1e400}', 422, id="infinity"),
        pytest.param(b'{"text": "a", "beam": ' + b"9" * 10_000 + b"}", 400, id="a long number"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_answered_in_one_line(service: Service, body: bytes, expected: int) -> None:
    status, content = send(service, head(len(body), b"Connection: close") + body)
    assert status == expected
    if status != 200:
        assert "\n" not in Problem.model_validate_json(content).error
    else:
        assert TranslateResponse.model_validate_json(content).translations
    assert is_working(service)


@settings(max_examples=40)
@given(body=st.binary(max_size=60))
def test_any_bytes_as_body_are_answered(service: Service, body: bytes) -> None:
    status, content = send(service, head(len(body), b"Connection: close") + body)
    assert status in (400, 422)
    assert "\n" not in Problem.model_validate_json(content).error


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(head(2, b"X: " + b"x" * 1_000_000), id="a huge header"),
        pytest.param(head(2, *(b"X-%d: x" % i for i in range(50_000))), id="many headers"),
        pytest.param(b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a long path"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", id="NUL in the path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(head(2, b"Content-Length: 3"), id="two lengths"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n", id="invalid chunk"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), id="TLS"),
    ],
)
def test_a_malformed_header_is_refused(service: Service, request_head: bytes) -> None:
    with connect(service) as connection:
        with suppress(ConnectionError):  # the service may close before the end
            connection.sendall(request_head)
        with suppress(ConnectionError):
            status_line = connection.makefile("rb").readline()
            assert status_line.startswith(b"HTTP/1.1 400 ")
    assert is_working(service)


@pytest.mark.parametrize("sent", [len(MANY) // 2, len(MANY)], ids=["during its body", "during translation"])
def test_a_reset_request_does_not_affect_others(service: Service, sent: int) -> None:
    for _ in range(3):
        connection = connect(service)
        connection.sendall(head(len(MANY)) + MANY[:sent])
        reset(connection)
    assert is_working(service)


def test_a_reset_during_the_response_does_not_affect_others(service: Service) -> None:
    for _ in range(3):
        connection = connect(service)
        connection.sendall(head(len(MANY)) + MANY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        reset(connection)
    assert is_working(service)
