"""Listens, serves, and stops in good order.

Errors of the event loop that belong to no request.
"""

import asyncio
import errno
import ipaddress
import logging
import math
import socket
import time
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from kotrans.config.sections import ServeConfig
from kotrans.errors import UsageError
from kotrans.parallel.interrupts import stop_request
from kotrans.serve.connections import BoundedProtocol, Connections, connections_possible

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    """True if only this machine can reach the address, or the address of the name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # `listen` says so
        return False
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


def check_token(config: ServeConfig, token: str | None) -> None:
    """Raises UsageError if the address needs a token and there is none, or if no header can carry the token."""
    if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
        raise UsageError("--token: take printable ASCII characters without a blank, and at least one")
    if token is None and not is_loopback(config.host):
        raise UsageError(
            f"--host {config.host}: others could reach the service; give them a token with KOTRANS_TOKEN or --token"
        )


def listen(config: ServeConfig) -> socket.socket:
    """A socket that takes connections from now on. Raises UsageError if the address cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, UnicodeError) as error:  # a UnicodeError of a name that no host can have
        why = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise UsageError(
            f"cannot listen on {config.host} port {config.port} ({why}); choose another --port or --host"
        ) from None


def url(listening: socket.socket) -> str:
    """Where a browser finds what listens."""
    return f"http://{_name(listening)}:{listening.getsockname()[1]}/"


def host_names(listening: socket.socket, host: str) -> frozenset[str] | None:
    """What `Host` may say: this machine's names and the one that is listened on; None if others can reach it."""
    if not is_loopback(host):
        return None
    return _LOCAL_NAMES | {_name(listening), f"[{host.lower()}]" if ":" in host else host.lower()}


def _name(listening: socket.socket) -> str:
    host = listening.getsockname()[0]
    return f"[{host}]" if ":" in host else host


def serve(app: ASGIApp, listening: socket.socket, config: ServeConfig) -> None:
    """Serves until SIGTERM or Ctrl-C, then finishes what has begun; a second one ends it at once.

    A client that does not read its answer is not waited for longer than a request may take.
    """
    with stop_request():  # the server raises the signal that stopped it once more, when all is finished
        server_of(app, config).run(sockets=[listening])


def server_of(app: ASGIApp, config: ServeConfig) -> uvicorn.Server:
    """The server with its limits."""
    most, backlog = connections_possible(config.max_connections)
    limits = Connections(most, config.max_head_seconds, config.max_seconds)
    protocol: type = partial(BoundedProtocol, limits)  # type: ignore[assignment]
    return uvicorn.Server(
        uvicorn.Config(
            app, http=protocol, log_config=None, log_level="error", access_log=False, ws="none", lifespan="on",
            server_header=False, proxy_headers=False, backlog=backlog,
            timeout_graceful_shutdown=math.ceil(2 * config.max_seconds) + 1,
        )
    )  # fmt: skip


_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SECONDS_BETWEEN = 60.0
_log = logging.getLogger(__name__)


def tell_once(loop: asyncio.AbstractEventLoop) -> None:
    """Makes connections that cannot be accepted one line a minute in the log, and not a traceback for each try."""
    told = -_SECONDS_BETWEEN

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _OUT_OF_FILES:
            loop.default_exception_handler(context)
        elif time.monotonic() - told >= _SECONDS_BETWEEN:
            told = time.monotonic()
            _log.error("connections cannot be accepted (%s); raise the limit of open files", error.strerror)

    loop.set_exception_handler(handle)
