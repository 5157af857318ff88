"""Threads that each take a share of the work, every one on a core of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import torch

Shard = TypeVar("Shard")
Made = TypeVar("Made")

# A share of fewer target tokens has too few rows to keep a core's matrix products busy.
_SMALLEST = 512


class ShardPool:
    """Runs what is given for all shares of some work at once.

    The steps of a recurrence are many and small: threads inside each of them wait for one another thousands of times,
    and wait long when a core has other work. Threads that divide the sentences meet once, at the end.
    """

    def __init__(self, count: int, inside: int = 1) -> None:
        """count threads, each with `inside` threads for its operations; one share is worked on by who asks."""
        self.count = count
        # The setting is each thread's own: the thread that asks keeps what it has.
        self._pool = ThreadPoolExecutor(count, "share", lambda: _set_threads(inside)) if count > 1 else None

    @classmethod
    def of_batches(cls, threads: int, tokens: int) -> Self:
        """For batches of so many target tokens; the threads that they have not work enough for help inside."""
        count = max(1, min(threads, tokens // _SMALLEST))
        return cls(count, threads // count)

    def map(self, make: Callable[[Shard], Made], shares: Sequence[Shard]) -> Iterator[Made]:
        """What `make` makes of each share, in their order."""
        return map(make, shares) if self._pool is None or len(shares) == 1 else self._pool.map(make, shares)


def _set_threads(count: int) -> None:
    torch.get_num_threads()  # the thread takes over the number of all threads here, and not later
    torch.set_num_threads(count)
