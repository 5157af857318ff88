"""Connections with limits: how many there are, and how long each may take for what it sends and reads.

uvicorn bounds the size of a head and the time between two requests. It does not bound the time of a head, of a
connection that sends nothing, or of a client that does not read.
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

_ROUNDS = 5  # of accepting connections until the first of them, if it is refused, is closed
_SPARE_FILES = 16  # for what the service opens besides connections
_BACKLOG = 128  # connections accepted at a time


@dataclass
class Connections:
    """The limits of all connections of a server, and those connections that have no request at the moment."""

    most: int
    """Connections; one more takes the place of the longest idle one, or is refused."""
    head_seconds: float
    """Until the head of a request has come."""
    write_seconds: float
    """Until a client has read an answer that does not fit into the buffers of the connection."""
    idle: "OrderedDict[BoundedProtocol, None]" = field(default_factory=OrderedDict)


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with limits; errors of requests that are not valid HTTP are returned as JSON."""

    def __init__(self, limits: Connections, **arguments: Any) -> None:
        """arguments: those of uvicorn."""
        super().__init__(**arguments)
        self._limits = limits
        self._head: asyncio.TimerHandle | None = None
        self._write: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.most:
            if not self._limits.idle:
                self._close_with(503, f"{self._limits.most} connections are open already; try again in a moment")
                return
            oldest, _ = self._limits.idle.popitem(last=False)
            oldest.transport.abort()
            self.connections.discard(oldest)
        self._watch_head(expected=True)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._limits.idle.pop(self, None)
        self._cancel_head()
        self._cancel_write()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head(expected=True)

    def on_response_complete(self) -> None:
        self._cancel_write()
        super().on_response_complete()
        self._watch_head(expected=False)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write is None:  # from the first time that the client is too slow until the answer has been sent
            self._write = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        self._close_with(400, f"{msg.rstrip('.')}; send an HTTP/1.1 request with a head of at most 16 kB")

    def _watch_head(self, *, expected: bool) -> None:
        """Lets a connection that has no request end in time, if a head is expected; each byte does not give more."""
        has_request = self.cycle is not None and not self.cycle.response_complete
        if has_request or self.transport.is_closing():
            self._limits.idle.pop(self, None)
            self._cancel_head()
            return
        self._limits.idle.setdefault(self)
        if expected and self._head is None:
            self._head = self.loop.call_later(self._limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._close_with(408, f"the head of the request did not come within {self._limits.head_seconds:g} seconds")

    def _cancel_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
        self._head = None

    def _cancel_write(self) -> None:
        if self._write is not None:
            self._write.cancel()
        self._write = None

    def _close_with(self, status: int, why: str) -> None:
        """Answers without a request, and closes."""
        body = json.dumps({"error": why}).encode()
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (status, HTTPStatus(status).phrase.encode(), len(body))
            + body
        )
        self.transport.close()


def connections_possible(wanted: int) -> tuple[int, int]:
    """How many connections there can be with this process's limit of open files, and how many to accept at a time."""
    if sys.platform == "win32":
        return wanted, _BACKLOG
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted, _BACKLOG
    free = max(soft - _open_files() - _SPARE_FILES, 8)
    backlog = max(2, min(_BACKLOG, free // 12))
    # asyncio accepts this many per round, and closes refused connections some rounds later.
    return max(4, min(wanted, free - _ROUNDS * backlog)), backlog


def _open_files() -> int:
    try:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
    except OSError:
        return 64
