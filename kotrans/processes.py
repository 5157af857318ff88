"""Work on many parts in several processes: results in the order of the parts, and few of either in memory."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

from kotrans.cores import available_cores
from kotrans.errors import DataError

Part = TypeVar("Part")
Result = TypeVar("Result")

PAIRS_IN_A_PART = 25_000
"""Pairs worked on at once; some megabytes, and some tenths of a second."""
_FEWEST_PARTS = 3  # starting processes costs more than they save on less
_MOST_PROCESSES = 8  # more would wait for the one that reads and writes; each takes some 70 MB


def ordered_map(
    work: Callable[[Part], Result], parts: Iterable[Part], processes: int | None = None
) -> Iterator[Result]:
    """`work` of each part, in the order of the parts.

    `work` is sent to every process once, so it may be an object with data of its own. Where there are few parts, or
    `processes` is 1, it runs in this process; None is one process for each core.
    Raises DataError if a process is killed.
    """
    parts = iter(parts)
    first = list(islice(parts, _FEWEST_PARTS))
    processes = min(processes or available_cores(), _MOST_PROCESSES)
    if processes == 1 or len(first) < _FEWEST_PARTS:
        yield from map(work, chain(first, parts))
        return
    # Spawned, because a fork of a process with threads (torch's, a progress bar's) may hang.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (work,))
    try:
        yield from _in_order(pool, chain(first, parts), 2 * processes)
    except BrokenProcessPool:
        raise DataError("a process that was preparing data was killed; free some memory, and run it again") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, parts: Iterable[Any], most: int) -> Iterator[Any]:
    """Results, with at most so many parts on their way."""
    waiting: deque[Future[Any]] = deque()
    for part in parts:
        waiting.append(pool.submit(_do, part))
        if len(waiting) == most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_work: Callable[[Any], Any]  # of a process of the pool, which does nothing else


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the one that asked for the work answers it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot say so, and its processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(part: Any) -> Any:
    return _work(part)
