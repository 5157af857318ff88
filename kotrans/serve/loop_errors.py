"""Errors of the event loop that belong to no request."""

import asyncio
import errno
import logging
import time
from typing import Any

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
