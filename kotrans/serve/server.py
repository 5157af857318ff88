"""Listening socket, uvicorn server, and graceful shutdown."""

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
from kotrans.serve.connections import BoundedProtocol, ConnectionLimits, connections_possible

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LOG_INTERVAL = 60.0  # seconds
_log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """True if the address, or every address of the name, can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # `listen` reports it
        return False
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


def check_token(config: ServeConfig, token: str | None) -> None:
    """Raises UsageError if the address requires a token and there is none, or if a header cannot carry the token."""
    if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
        raise UsageError("--token: use one or more printable ASCII characters, without spaces")
    if token is None and not is_loopback(config.host):
        raise UsageError(
            f"--host {config.host}: other machines could reach the service; set a token with KOTRANS_TOKEN or --token"
        )


def listen(config: ServeConfig) -> socket.socket:
    """Returns a listening socket. Raises UsageError if the address is not available."""
    try:
        family, *_, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise UsageError(
            f"cannot listen on {config.host} port {config.port} ({reason}); choose another --port or --host"
        ) from None


def url(listening: socket.socket) -> str:
    """Returns the URL of the service."""
    return f"http://{_url_host(listening)}:{listening.getsockname()[1]}/"


def host_names(listening: socket.socket, host: str) -> frozenset[str] | None:
    """Returns the allowed `Host` headers: the names of this machine and `host`; None if others can reach it."""
    if not is_loopback(host):
        return None
    return _LOCAL_NAMES | {_url_host(listening), f"[{host.lower()}]" if ":" in host else host.lower()}


def _url_host(listening: socket.socket) -> str:
    host = listening.getsockname()[0]
    return f"[{host}]" if ":" in host else host


def serve(app: ASGIApp, listening: socket.socket, config: ServeConfig) -> None:
    """Serves until SIGTERM or Ctrl-C, then finishes the requests that have begun; a second signal stops at once.

    A client that does not read its response is disconnected after the time limit of a request.
    """
    with stop_request():  # the server raises the signal again after the shutdown
        server_of(app, config).run(sockets=[listening])


def server_of(app: ASGIApp, config: ServeConfig) -> uvicorn.Server:
    """Returns the server with the limits of the config."""
    connections, backlog = connections_possible(config.max_connections)
    limits = ConnectionLimits(connections, config.max_head_seconds, config.max_seconds)
    protocol: type = partial(BoundedProtocol, limits)  # type: ignore[assignment]
    return uvicorn.Server(
        uvicorn.Config(
            app, http=protocol, log_config=None, log_level="error", access_log=False, ws="none", lifespan="on",
            server_header=False, proxy_headers=False, backlog=backlog,
            timeout_graceful_shutdown=math.ceil(2 * config.max_seconds) + 1,
        )
    )  # fmt: skip


def limit_accept_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Logs connections that cannot be accepted in one line per minute, instead of one traceback per attempt."""
    logged = -_LOG_INTERVAL

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal logged
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _OUT_OF_FILES:
            loop.default_exception_handler(context)
        elif time.monotonic() - logged >= _LOG_INTERVAL:
            logged = time.monotonic()
            _log.error("cannot accept connections (%s); raise the limit of open files", error.strerror)

    loop.set_exception_handler(handle)
