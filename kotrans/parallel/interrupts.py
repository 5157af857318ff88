"""Ctrl-C and SIGTERM ask training to stop after the update at hand; a second one stops it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopTraining(BaseException):
    """A stop was requested during work that can be abandoned and repeated."""


class StopRequest:
    """Set by the first signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.raises = False
        """Whether the first signal raises Stopped, too."""

    def receive(self, number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        if self.raises:
            self.raises = False
            raise StopTraining


@contextmanager
def stop_request(*, past_errors: bool = False) -> Iterator[StopRequest]:
    """Listens for SIGINT and SIGTERM inside the block; outside the main thread Python cannot, and nothing is set.

    past_errors: goes on listening when the block ends with an error, so that no signal cuts off what is said of it.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in STOP_SIGNALS}
    try:
        yield request
    except Exception:
        if past_errors:
            before.clear()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
