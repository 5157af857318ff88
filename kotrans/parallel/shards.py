"""Threads that each process one shard of a batch on a core of its own."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

Shard = TypeVar("Shard")
Result = TypeVar("Result")

# Target tokens; a smaller shard has too few rows to keep a core's matrix products busy.
_SMALLEST = 512
# Shards of a batch: each holds the interpreter for its steps, so that more would wait for each other.
_MOST = 8


class ShardPool:
    """A pool of threads that runs a function on all shards at once.

    The steps of a recurrence are many and small. Threads inside each operation would synchronize thousands of times per
    batch; threads that divide the sentences synchronize once, at the end.
    """

    def __init__(self, count: int, inside: int = 1) -> None:
        """Creates `count` threads, each with `inside` threads for its operations. One shard runs in the caller."""
        self.count = count
        # PyTorch's number of threads is thread-local: the caller keeps its own.
        self._pool = ThreadPoolExecutor(count, "shard", lambda: _set_threads(inside)) if count > 1 else None

    @classmethod
    def of_batches(cls, threads: int, tokens: int) -> Self:
        """Creates a pool for batches of `tokens` target tokens. Threads beyond the number of shards run inside them."""
        count = max(1, min(threads, tokens // _SMALLEST, _MOST))
        return cls(count, threads // count)

    def map(self, run: Callable[[Shard], Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Yields the result of `run` for each shard, in order."""
        return map(run, shards) if self._pool is None or len(shards) == 1 else self._pool.map(run, shards)


def _set_threads(count: int) -> None:
    """Sets PyTorch's number of threads for the calling thread, if PyTorch is in use."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.get_num_threads()  # initializes the thread's setting, which would otherwise override the next line later
        torch.set_num_threads(count)
