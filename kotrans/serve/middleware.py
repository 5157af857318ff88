"""What stands before the application: who may ask, how much, how slowly, and what a browser may do with the answer."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kotrans.config.sections import ServeConfig
from kotrans.serve.access import Origins, TokenCheck, check_host
from kotrans.serve.requests import Refused

OPEN_PATHS = ("/", "/health")  # answered without a token: the page asks for it, and probes have none
_DRAINED = 16  # times `max_body` that is read and dropped of a body that is too large ...
_DRAIN_SECONDS = 2.0  # ... for at most so long, because who is still sending does not read the answer
_BODIES_HELD = 32  # times `max_body` of all requests together
_CLOSE = {"connection": "close"}  # what is left of the request is no request
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class _ClientGone(Exception):
    """The client left before its request was there."""


class RequestGuard:
    """An application that sees only requests that are allowed, with bodies that have arrived."""

    def __init__(self, app: ASGIApp, config: ServeConfig, *, token: str | None, hosts: frozenset[str] | None) -> None:
        """token: None if none is needed. hosts: what `Host` may say, None if it may say anything."""
        self._app = app
        self._config = config
        self._token = TokenCheck(token) if token else None
        self._hosts = hosts
        self._origins = Origins(config.allowed_origins)
        self._held = 0  # bytes of bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers what is refused, and passes on what is not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = _with_headers(send, SECURITY_HEADERS | self._origins.of_answer(headers))
        held: list[bytes] = []
        try:
            check_host(headers, self._hosts)
            if scope["method"] == "OPTIONS" and (answer := self._origins.preflight(headers)) is not None:
                await answer(scope, receive, send)
                return
            if scope["method"] not in _WITHOUT_BODY:
                self._origins.check(headers)
            await self._read_body(scope, headers, receive, held)
            body = b"".join(held)
            await self._check_token(scope, headers, body)
            # The server itself leaves out the body of an answer to HEAD.
            seen = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await self._app(seen, _replay(body, receive), send)
        except Refused as refused:
            await self._refuse(refused, scope, receive, send)
        except _ClientGone:
            return
        finally:
            self._held -= sum(map(len, held))

    async def _check_token(self, scope: Scope, headers: Headers, body: bytes) -> None:
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            await self._token.check(scope["path"], headers, scope["query_string"].decode("latin-1"), body)

    async def _read_body(self, scope: Scope, headers: Headers, receive: Receive, held: list[bytes]) -> None:
        """Reads the whole body into `held`. Raises Refused if it is too large or too slow."""
        most = self._config.max_body
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most:
            raise Refused(
                413, f"the request has {length[:20]} bytes, but at most {most} are taken; send less at once", _CLOSE
            )
        if scope["path"] in OPEN_PATHS or (scope["method"] in _WITHOUT_BODY and length in ("", "0")):
            return  # what is sent with such a request is not read
        size, more = 0, True
        try:
            async with asyncio.timeout(self._config.max_seconds):
                while more:
                    chunk, more = await _chunk(receive)
                    held.append(chunk)
                    self._held += len(chunk)
                    size += len(chunk)
                    if size > most:
                        raise Refused(413, f"the request has more than {most} bytes; send less at once", _CLOSE)
                    if self._held > _BODIES_HELD * most:
                        raise Refused(
                            503, "too many large requests at once; ask again in a moment", _CLOSE | {"retry-after": "1"}
                        )
        except TimeoutError:
            seconds = self._config.max_seconds
            raise Refused(408, f"the request did not come within {seconds:g} seconds; send it faster", _CLOSE) from None

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers at once; of a body that is too large, some is read until the answer counts as ended.

        A connection that is closed while bytes are unread is reset, and the client would lose the answer.
        """

        async def send_then_drain(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last and refused.status == 413:
                await send({**message, "more_body": True})
                await self._drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await refused.response()(scope, receive, send_then_drain)

    async def _drain(self, receive: Receive) -> None:
        left, more = _DRAINED * self._config.max_body, True
        with suppress(TimeoutError, _ClientGone):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while more and left > 0:
                    chunk, more = await _chunk(receive)
                    left -= len(chunk)


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    """Some of a body, and whether there is more. Raises _ClientGone."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read already, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send, more: Mapping[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in more.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
