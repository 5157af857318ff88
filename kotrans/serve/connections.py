"""Limits of connections: their number, and the time to receive a request header and to send a response.

uvicorn limits the size of a header and the time between two requests. It has no timeout for a header, for a connection
that sends nothing, or for a client that does not read.
"""

import asyncio
import json
import os
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_ROUNDS = 5  # rounds of accepting connections until a refused connection is closed
_SPARE_FILES = 16  # file descriptors for everything except connections
_BACKLOG = 128  # connections accepted per round


@dataclass
class ConnectionLimits:
    """The limits that all connections of a server share."""

    max_connections: int
    """One more connection replaces the one that has been idle longest, or is refused if none is idle."""
    header_seconds: float
    """Timeout for receiving the header of a request."""
    write_seconds: float
    """Timeout for a client that reads a response too slowly for the buffers of the connection."""
    idle: "OrderedDict[BoundedProtocol, None]" = field(default_factory=OrderedDict)
    """Connections without a request, longest idle first."""


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with limits, and with JSON errors for requests that are not valid HTTP."""

    def __init__(self, limits: ConnectionLimits, **arguments: Any) -> None:
        """arguments: passed on to uvicorn's protocol."""
        super().__init__(**arguments)
        self._limits = limits
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            if not self._limits.idle:
                self._close_with_error(503, f"{self._limits.max_connections} connections are already open; retry later")
                return
            oldest, _ = self._limits.idle.popitem(last=False)
            oldest.transport.abort()
            self.connections.discard(oldest)
        self._update_header_timer(expected=True)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._limits.idle.pop(self, None)
        self._cancel_header_timer()
        self._cancel_write_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_header_timer(expected=True)

    def on_response_complete(self) -> None:
        self._cancel_write_timer()
        super().on_response_complete()
        self._update_header_timer(expected=False)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:  # runs until the whole response has been sent
            self._write_timer = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        self._close_with_error(400, f"{msg.rstrip('.')}; send an HTTP/1.1 request with a header of at most 16 kB")

    def _update_header_timer(self, *, expected: bool) -> None:
        """Starts the header timeout of a connection without a request; received bytes do not extend it."""
        has_request = self.cycle is not None and not self.cycle.response_complete
        if has_request or self.transport.is_closing():
            self._limits.idle.pop(self, None)
            self._cancel_header_timer()
            return
        self._limits.idle.setdefault(self)
        if expected and self._header_timer is None:
            self._header_timer = self.loop.call_later(self._limits.header_seconds, self._header_timed_out)

    def _header_timed_out(self) -> None:
        seconds = self._limits.header_seconds
        self._close_with_error(408, f"request header not received within {seconds:g} s")

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
        self._header_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = None

    def _close_with_error(self, status: int, message: str) -> None:
        """Sends an error response outside of any request, and closes the connection."""
        body = json.dumps({"error": message}).encode()
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (status, HTTPStatus(status).phrase.encode(), len(body))
            + body
        )
        self.transport.close()


def connections_possible(wanted: int) -> tuple[int, int]:
    """Returns how many connections the limit of open files allows, up to `wanted`, and how many to accept per round."""
    if sys.platform == "win32":
        return wanted, _BACKLOG
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted, _BACKLOG
    free = max(soft - _open_files() - _SPARE_FILES, 8)
    backlog = max(2, min(_BACKLOG, free // 12))
    # asyncio accepts `backlog` connections per round, and closes refused ones some rounds later.
    return max(4, min(wanted, free - _ROUNDS * backlog)), backlog


def _open_files() -> int:
    try:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
    except OSError:
        return 64
