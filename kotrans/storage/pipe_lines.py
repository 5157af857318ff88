"""Lines of a pipe, in chunks of the lines that have arrived."""

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Thread

_CAPACITY = 1024  # lines read before the first chunk is requested
_POLL_SECONDS = 1.0  # on Windows, Ctrl-C is noticed only when a wait ends


class ArrivingLines:
    """Reads lines in a thread, so that a line that has arrived is not delayed until the next one arrives.

    A thread also works on Windows, where pipes cannot be polled.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        """Starts reading. `lines` may block; only the thread uses it."""
        self._lines = lines
        self._capacity = _CAPACITY
        self._arrived = deque[str]()
        self._ended = False
        self._error: Exception | None = None
        self._changed = Condition()
        Thread(target=self._read, name="arriving lines", daemon=True).start()

    def chunks(self, most: int) -> Iterator[list[str]]:
        """Yields the lines that have arrived, at most `most` at a time. Waits if there are none.

        Up to two chunks are read ahead. An error of the input is raised after the lines before it.
        """
        with self._changed:
            self._capacity = max(self._capacity, 2 * most)
            self._changed.notify_all()
        while chunk := self._take(most):
            yield chunk
        if self._error is not None:
            raise self._error

    def _take(self, most: int) -> list[str]:
        with self._changed:
            while not self._arrived and not self._ended:
                self._changed.wait(_POLL_SECONDS)
            chunk = [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
            self._changed.notify_all()
        return chunk

    def _read(self) -> None:
        try:
            for line in self._lines:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._arrived) < self._capacity)
                    self._arrived.append(line)
                    self._changed.notify_all()
        except Exception as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
