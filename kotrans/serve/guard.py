"""What stands before the application: who may ask, how much, how slowly, and what a browser may do with the answer."""

import asyncio
import hmac
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kotrans.config.serving import ServeConfig

OPEN_PATHS = ("/", "/health")  # answered without a token: the page asks for it, and probes have none
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_DRAINED = 16  # times `max_body` that is read and dropped of a body that is too large ...
_DRAIN_SECONDS = 2.0  # ... for at most so long, because who is still sending does not read the answer
_CLOSE = {"connection": "close"}  # what is left of the request is no request
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Refused(Exception):
    """A request that gets no translation, with status and one line of why."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse({"error": str(self)}, self.status, self.headers)


class _ClientGone(Exception):
    """The client left before its request was there."""


class Guard:
    """An application that sees only requests that are allowed, with bodies that have arrived."""

    def __init__(self, app: ASGIApp, config: ServeConfig, *, token: str | None, local: bool) -> None:
        """local: listens on a loopback address, so that only names of this machine can be meant by `Host`."""
        self._app = app
        self._config = config
        self._token = token.encode() if token else None
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers what is refused, and passes on what is not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_security_headers(send)
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_token(scope["path"], headers)
            body = await self._body(headers, receive)
        except Refused as refused:
            await self._refuse(refused, scope, receive, send)
        except _ClientGone:
            return
        else:
            await self._app(scope, _replay(body, receive), send)

    def _check_host(self, headers: Headers) -> None:
        """A page elsewhere can let its own name point to this machine (DNS rebinding), but not forge `Host`."""
        name = headers.get("host", "")
        name = name if name.endswith("]") else name.rpartition(":")[0] or name
        if self._local and name.lower() not in _LOCAL_NAMES:
            raise Refused(403, "this service is for its own machine; ask for it as localhost")

    def _check_token(self, path: str, headers: Headers) -> None:
        if self._token is None or path in OPEN_PATHS:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        if kind.lower() != "bearer" or not right:
            raise Refused(
                401, "the token is missing or wrong; send the header `Authorization: Bearer TOKEN`",
                {"www-authenticate": "Bearer"},
            )  # fmt: skip

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body. Raises Refused if it is too large or too slow."""
        most = self._config.max_body
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most:
            raise Refused(
                413, f"the request has {length[:20]} bytes, but at most {most} are taken; send less at once", _CLOSE
            )
        chunks, size, more = [], 0, True
        try:
            async with asyncio.timeout(self._config.max_seconds):
                while more:
                    chunk, more = await _chunk(receive)
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > most:
                        raise Refused(413, f"the request has more than {most} bytes; send less at once", _CLOSE)
        except TimeoutError:
            seconds = self._config.max_seconds
            raise Refused(408, f"the request did not come within {seconds:g} seconds; send it faster", _CLOSE) from None
        return b"".join(chunks)

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


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
