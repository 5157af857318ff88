"""Listens, serves, and stops in good order."""

import ipaddress
import math
import socket

import uvicorn
from starlette.types import ASGIApp

from kotrans.config.serving import ServeConfig
from kotrans.errors import UsageError
from kotrans.trainer.signals import stop_request


def is_loopback(host: str) -> bool:
    """True if only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_token(config: ServeConfig, token: str | None) -> None:
    """Raises UsageError if the address needs a token and there is none, or if no header can carry the token."""
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise UsageError("--token: take printable ASCII characters without a blank at either end, and at least one")
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
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(app: ASGIApp, listening: socket.socket, config: ServeConfig) -> None:
    """Serves until SIGTERM or Ctrl-C, then finishes what has begun; a second one ends it at once.

    A client that does not read its answer is not waited for longer than a request may take.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, log_level="error", access_log=False, ws="none", lifespan="on",
            server_header=False, proxy_headers=False, timeout_graceful_shutdown=math.ceil(2 * config.max_seconds) + 1,
        )
    )  # fmt: skip
    with stop_request():  # the server raises the signal that stopped it once more, when all is finished
        server.run(sockets=[listening])
