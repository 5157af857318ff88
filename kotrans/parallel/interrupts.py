"""Handling of Ctrl-C and SIGTERM: the first signal requests a stop, the second one interrupts immediately."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopTraining(BaseException):
    """A stop was requested during work that can be abandoned and repeated."""


class StopRequest:
    """The state of a stop request."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first signal that was received."""
        self.raises = False
        """Whether the first signal also raises StopTraining."""

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        if self.raises:
            self.raises = False
            raise StopTraining


@contextmanager
def stop_request(*, past_errors: bool = False) -> Iterator[StopRequest]:
    """Handles SIGINT and SIGTERM inside the block. Has no effect outside the main thread, where Python has no signals.

    past_errors: keeps the handlers if the block ends with an error, so that the signal which torchrun sends to the
    remaining ranks does not prevent its message.
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
