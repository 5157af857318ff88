"""Requests that no honest client sends, byte by byte: each is answered or dropped, and the service goes on."""

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
    """Ends it as a cut cable does, without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer(service: Service, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request that is sent whole."""
    with connect(service) as connection:
        connection.sendall(request)
        answered = connection.makefile("rb").read()
    begin, _, body = answered.partition(b"\r\n\r\n")
    return int(begin.split()[1]), body


def goes_on(service: Service) -> bool:
    with service.client() as client:
        return client.get("/health").status_code == client.post("/translate", json={"text": "나무"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"text": "\xeb\x82\x98"', 400, id="no end"),
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"\x00" * 1000, 400, id="zeros"),
        pytest.param(b'{"text": "\xeb\x82"}', 400, id="half a syllable"),
        pytest.param(b'{"text": "a\x00b"}', 400, id="a zero in a string"),
        pytest.param(b'{"text": "\\u0000a\\u0000"}', 200, id="an escaped zero"),
        pytest.param(b'{"text": ["\\ud800", "a \\udfff\\ud800"], "attention": true}', 200, id="half characters"),
        pytest.param(b"[" * 900_000, 400, id="deep lists without end"),
        pytest.param(b'{"text": ' + b"[" * 450_000 + b"]" * 450_000 + b"}", 400, id="deep lists"),
        pytest.param(b'{"a":' * 150_000 + b"1" + b"}" * 150_000, 400, id="deep objects"),
        pytest.param(b'{"text": "a", "beam": 1e400}', 422, id="infinity"),
        pytest.param(b'{"text": "a", "beam": ' + b"9" * 10_000 + b"}", 400, id="a long number"),
    ],
)  # fmt: skip
def test_a_broken_body_is_answered_in_one_line(service: Service, body: bytes, expected: int) -> None:
    status, said = answer(service, head(len(body), b"Connection: close") + body)
    assert status == expected
    if status != 200:
        assert "\n" not in Problem.model_validate_json(said).error
    else:
        assert TranslateResponse.model_validate_json(said).translations
    assert goes_on(service)


@settings(max_examples=40)
@given(body=st.binary(max_size=60))
def test_any_bytes_are_answered(service: Service, body: bytes) -> None:
    status, said = answer(service, head(len(body), b"Connection: close") + body)
    assert status in (400, 422)
    assert "\n" not in Problem.model_validate_json(said).error


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(head(2, b"X: " + b"x" * 1_000_000), id="a huge header"),
        pytest.param(head(2, *(b"X-%d: x" % i for i in range(50_000))), id="many headers"),
        pytest.param(b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a long path"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a zero in the path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(head(2, b"Content-Length: 3"), id="two lengths"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n", id="no chunk"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), id="TLS"),
    ],
)
def test_a_broken_head_is_refused(service: Service, request_head: bytes) -> None:
    with connect(service) as connection:
        with suppress(ConnectionError):  # it need not be read to its end
            connection.sendall(request_head)
        with suppress(ConnectionError):
            answered = connection.makefile("rb").readline()
            assert answered.startswith(b"HTTP/1.1 400 ")
    assert goes_on(service)


@pytest.mark.parametrize("sent", [len(MANY) // 2, len(MANY)], ids=["in its body", "while it is translated"])
def test_a_request_that_is_cut_is_forgotten(service: Service, sent: int) -> None:
    for _ in range(3):
        connection = connect(service)
        connection.sendall(head(len(MANY)) + MANY[:sent])
        reset(connection)
    assert goes_on(service)


def test_a_connection_that_is_cut_in_its_answer_harms_nobody(service: Service) -> None:
    for _ in range(3):
        connection = connect(service)
        connection.sendall(head(len(MANY)) + MANY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        reset(connection)
    assert goes_on(service)
