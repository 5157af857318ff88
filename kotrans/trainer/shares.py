"""Threads that each take a share of a batch forward and backward, every one on a core of its own."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Share = TypeVar("Share")
Made = TypeVar("Made")

# A share of fewer target tokens has too few rows to keep a core's matrix products busy.
_SMALLEST = 512


class Shares:
    """Runs what is given for all shares of a batch at once.

    The steps of a recurrence are many and small: threads inside each of them wait for one another thousands of times an
    update, and wait long when a core has other work. Threads that divide the batch meet once an update.
    """

    def __init__(self, threads: int, tokens: int) -> None:
        """tokens is the budget of a batch; what threads it has not work enough for help inside the operations."""
        self.count = max(1, min(threads, tokens // _SMALLEST))
        inside = threads // self.count
        # The setting is each thread's own: the thread that asks keeps what it has.
        self._pool = ThreadPoolExecutor(self.count, "share", lambda: _set_threads(inside)) if self.count > 1 else None

    def map(self, make: Callable[[Share], Made], shares: Iterable[Share]) -> Iterator[Made]:
        """What `make` makes of each share, in their order."""
        return map(make, shares) if self._pool is None else self._pool.map(make, shares)


def _set_threads(count: int) -> None:
    torch.get_num_threads()  # the thread takes over the number of all threads here, and not later
    torch.set_num_threads(count)
