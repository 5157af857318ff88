"""ASGI middleware: access checks, limits of size and time for request bodies, and security headers."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kotrans.config.sections import ServeConfig
from kotrans.serve.access import Origins, TokenCheck, check_host
from kotrans.serve.requests import RequestError

OPEN_PATHS = ("/", "/health")  # no token required: the page prompts for it, and health probes have none
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_DRAIN_FACTOR = 16  # times `max_body`: bytes of a too large body that are read and discarded ...
_DRAIN_SECONDS = 2.0  # ... and for how long, because a client that is still sending does not read the response
_TOTAL_FACTOR = 32  # times `max_body`: bytes of all bodies that are held at the same time
_CLOSE = {"connection": "close"}  # the unread rest of the body is not another request
_METHODS_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")


class _Disconnected(Exception):
    """The client disconnected before its request was complete."""


class RequestGuard:
    """Middleware that passes on only allowed requests, with complete bodies."""

    def __init__(self, app: ASGIApp, config: ServeConfig, *, token: str | None, hosts: frozenset[str] | None) -> None:
        """token: None if no token is required. hosts: allowed `Host` headers; None allows any."""
        self._app = app
        self._config = config
        self._token = TokenCheck(token) if token else None
        self._hosts = hosts
        self._origins = Origins(config.allowed_origins)
        self._held = 0  # bytes of all bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers refused requests, and passes on the others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = _with_headers(send, SECURITY_HEADERS | self._origins.response_headers(headers))
        chunks: list[bytes] = []
        try:
            check_host(headers, self._hosts)
            if scope["method"] == "OPTIONS" and (preflight := self._origins.preflight_response(headers)) is not None:
                await preflight(scope, receive, send)
                return
            if scope["method"] not in _METHODS_WITHOUT_BODY:
                self._origins.check(headers)
            await self._read_body(scope, headers, receive, chunks)
            body = b"".join(chunks)
            await self._check_token(scope, headers, body)
            # The server itself omits the body of a response to HEAD.
            passed_on = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await self._app(passed_on, _replay(body, receive), send)
        except RequestError as error:
            await self._send_error(error, scope, receive, send)
        except _Disconnected:
            return
        finally:
            self._held -= sum(map(len, chunks))

    async def _check_token(self, scope: Scope, headers: Headers, body: bytes) -> None:
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            await self._token.check(scope["path"], headers, scope["query_string"].decode("latin-1"), body)

    async def _read_body(self, scope: Scope, headers: Headers, receive: Receive, chunks: list[bytes]) -> None:
        """Reads the whole body into `chunks`. Raises RequestError if it is too large or too slow."""
        limit = self._config.max_body
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            raise RequestError(
                413, f"request body of {length[:20]} bytes exceeds the limit of {limit} bytes; send less at once",
                _CLOSE,
            )  # fmt: skip
        if scope["path"] in OPEN_PATHS or (scope["method"] in _METHODS_WITHOUT_BODY and length in ("", "0")):
            return  # a body would not be used
        size, more = 0, True
        try:
            async with asyncio.timeout(self._config.max_seconds):
                while more:
                    chunk, more = await _receive_chunk(receive)
                    chunks.append(chunk)
                    self._held += len(chunk)
                    size += len(chunk)
                    if size > limit:
                        raise RequestError(
                            413, f"request body exceeds the limit of {limit} bytes; send less at once", _CLOSE
                        )
                    if self._held > _TOTAL_FACTOR * limit:
                        raise RequestError(
                            503, "too many large requests at once; retry later", _CLOSE | {"retry-after": "1"}
                        )
        except TimeoutError:
            raise RequestError(
                408, f"request body not received within {self._config.max_seconds:g} s; send less at once", _CLOSE
            ) from None

    async def _send_error(self, error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends an error response; after a too large body, part of it is read before the response ends.

        Closing a connection with unread bytes resets it, and the client would lose the response.
        """

        async def send_then_drain(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_last and error.status == 413:
                await send({**message, "more_body": True})
                await self._drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await error.response()(scope, receive, send_then_drain)

    async def _drain(self, receive: Receive) -> None:
        left, more = _DRAIN_FACTOR * self._config.max_body, True
        with suppress(TimeoutError, _Disconnected):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while more and left > 0:
                    chunk, more = await _receive_chunk(receive)
                    left -= len(chunk)


async def _receive_chunk(receive: Receive) -> tuple[bytes, bool]:
    """Returns a chunk of the body, and whether more follows. Raises _Disconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Disconnected
    return message.get("body", b""), message.get("more_body", False)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that yields the body first, then the messages that follow it."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send, added: Mapping[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in added.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
