"""Work on many parts in several processes: results in the order of the parts, and few of either in memory."""

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, cycle, islice
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from kotrans.errors import DataError, KotransError
from kotrans.parallel.cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

PAIRS_IN_A_PART = 25_000
"""Pairs worked on at once; some megabytes, and some tenths of a second."""
_FEWEST_PARTS = 3  # starting processes costs more than they save on less
_SECONDS_TO_END = 10  # for a process whose connection has ended already
MOST_PROCESSES = 8
"""More would wait for the one that reads and writes; each takes some 80 MB, or 300 MB with a model."""


def ordered_map(
    work: Callable[[Item], Result], parts: Iterable[Item], processes: int | None = None, doing: str = "preparing data"
) -> Iterator[Result]:
    """`work` of each part, in the order of the parts.

    `work` is sent to every process once, so it may be an object with data of its own. Where there are few parts, or
    `processes` is 1, it runs in this process; None is one process for each core. `doing` is for messages.
    Raises DataError if a process is killed, or does not even start.
    """
    parts = iter(parts)
    first = list(islice(parts, _FEWEST_PARTS))
    processes = min(processes or available_cores(), MOST_PROCESSES)
    if processes == 1 or len(first) < _FEWEST_PARTS:
        yield from map(work, chain(first, parts))
        return
    workers: list[Worker] = []
    try:
        for _ in range(processes):
            workers.append(Worker(doing))
        for worker in workers:
            worker.give(work)
        yield from _in_order(workers, chain(first, parts))
    finally:
        for worker in workers:
            worker.end()


class Worker:
    """A process that takes its work first, and then works on one part at a time.

    Not one of a ProcessPoolExecutor, which waits for ever if a process is killed while a large part is on its way.
    """

    def __init__(self, doing: str, *, interruptible: bool = False) -> None:
        """doing: what it does, for messages.

        interruptible: the work takes as its second argument a function that returns true once after `interrupt`.
        """
        self._doing = doing
        # Spawned, because a fork of a process with threads (torch's, a progress bar's) may hang. The work is no
        # argument: `start` waits for ever if the process ends before it has read a large one.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        read: Connection | None = None
        self._interrupts: Connection | None = None
        if interruptible:
            read, self._interrupts = context.Pipe(duplex=False)
        self._interrupted = False  # since the last part was given
        self._process = context.Process(target=_serve, args=(theirs, read), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is noticed
        if read is not None:
            read.close()

    def give(self, part: Any) -> None:
        """The work, or a part to work on; the result of the part before has been taken. Raises DataError."""
        self._interrupted = False
        try:
            self._connection.send(part)
        except OSError:
            raise self._ended() from None

    def take(self) -> Any:
        """The result of the part, waited for; what the work raised is raised here."""
        try:
            result, error = self._connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if error is not None:
            raise error
        return result

    def interrupt(self) -> None:
        """Asks the work to return its result as soon as possible. Thread-safe."""
        if self._interrupts is not None and not self._interrupted:  # once, or the pipe might fill up
            self._interrupted = True
            with suppress(OSError):  # the process has ended, which `take` notices
                self._interrupts.send_bytes(b"!")

    def _ended(self) -> DataError:
        """Why the process is no more: a signal ended it, or its own start, in which it runs the main script anew."""
        self._process.join(_SECONDS_TO_END)
        if (self._process.exitcode or -1) < 0:
            return DataError(f"a process that was {self._doing} was killed; free some memory, and run it again")
        return DataError(
            f"a process for {self._doing} did not start, and said why; in a script of your own, "
            'call kotrans under `if __name__ == "__main__":`'
        )

    def end(self) -> None:
        """Kills the process, whatever it does."""
        self._connection.close()
        if self._interrupts is not None:
            self._interrupts.close()
        self._process.kill()
        self._process.join()


def _in_order(workers: Sequence[Worker], parts: Iterable[Any]) -> Iterator[Any]:
    """Results; each worker gets its next part before its last result is given away."""
    waiting: deque[Worker] = deque()
    for worker, part in zip(cycle(workers), parts, strict=False):
        if len(waiting) < len(workers):
            worker.give(part)
        else:
            result = waiting.popleft().take()  # this worker's
            worker.give(part)
            yield result
        waiting.append(worker)
    for worker in waiting:
        yield worker.take()


def _serve(connection: Connection, interrupts: Connection | None) -> None:
    """A worker's life, which ends with the other side of the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the one that asked for the work answers it
    try:
        work = connection.recv()
        if interrupts is not None:
            work = partial(_interruptible, work, partial(_was_interrupted, interrupts))
        while True:
            connection.send(_answer(work, connection.recv()))
    except (EOFError, OSError):
        return


def _interruptible(work: Callable[[Any, Callable[[], bool]], Any], interrupted: Callable[[], bool], part: Any) -> Any:
    return work(part, interrupted)


def _was_interrupted(interrupts: Connection) -> bool:
    """Whether there was an interrupt since the last time."""
    was = False
    while interrupts.poll():
        interrupts.recv_bytes()
        was = True
    return was


def _answer(work: Callable[[Any], Any], part: Any) -> tuple[Any, Exception | None]:
    try:
        return work(part), None
    except Exception as error:
        if not isinstance(error, KotransError):
            error.add_note(traceback.format_exc())  # its traceback is not sent
        return None, error
