"""Worker processes, and an ordered map over them in bounded memory."""

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
"""Sentence pairs per part: a few megabytes, and some tenths of a second of work."""
MOST_PROCESSES = 8
"""More would wait for the process that reads and writes; each takes some 80 MB, or 300 MB with a model."""
_FEWEST_PARTS = 3  # with fewer, starting processes costs more than it saves
_SECONDS_TO_END = 10  # for a process whose connection has already closed


def ordered_map(
    work: Callable[[Item], Result], parts: Iterable[Item], processes: int | None = None, doing: str = "preparing data"
) -> Iterator[Result]:
    """Yields the result of `work` for each part, in order.

    `work` is sent to each process once, so it may be an object with large data. With few parts or one process it runs
    in this process.
    processes: at most MOST_PROCESSES (default: one per core). doing: the activity, for messages.
    Raises DataError if a process is killed or fails to start, and any error of `work`.
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
    """A process that receives a function first, and then applies it to one part at a time.

    Unlike a worker of ProcessPoolExecutor, it can be interrupted and killed while it works.
    """

    def __init__(self, doing: str, *, interruptible: bool = False) -> None:
        """Starts the process.

        doing: the activity, for messages.
        interruptible: the function takes a second argument, a function that returns true once after `interrupt`.
        """
        self._doing = doing
        # Spawned, because a fork of a process with threads may hang. The function is sent through the pipe, because
        # `start` hangs if the process ends before it has read a large argument.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        read: Connection | None = None
        self._interrupts: Connection | None = None
        if interruptible:
            read, self._interrupts = context.Pipe(duplex=False)
        self._interrupted = False  # since the last part was sent
        self._process = context.Process(target=_serve, args=(theirs, read), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process closes the connection
        if read is not None:
            read.close()

    def give(self, part: Any) -> None:
        """Sends the function, or a part after the previous result was taken. Raises DataError if the process ended."""
        self._interrupted = False
        try:
            self._connection.send(part)
        except OSError:
            raise self._ended() from None

    def take(self) -> Any:
        """Waits for the result of the part and returns it. Raises errors of the function, DataError if it ended."""
        try:
            result, error = self._connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if error is not None:
            raise error
        return result

    def interrupt(self) -> None:
        """Asks the function to return as soon as possible. Thread-safe."""
        if self._interrupts is not None and not self._interrupted:  # once per part, because the pipe may fill up
            self._interrupted = True
            with suppress(OSError):  # the process has ended, which `take` reports
                self._interrupts.send_bytes(b"!")

    def _ended(self) -> DataError:
        """Returns the error for a process that was killed, or failed when it imported the main script."""
        self._process.join(_SECONDS_TO_END)
        if (self._process.exitcode or -1) < 0:
            return DataError(f"a process that was {self._doing} was killed; free some memory, and run it again")
        return DataError(
            f"a process for {self._doing} failed to start (see its message); in a script of your own, "
            'call kotrans under `if __name__ == "__main__":`'
        )

    def end(self) -> None:
        """Kills the process."""
        self._connection.close()
        if self._interrupts is not None:
            self._interrupts.close()
        self._process.kill()
        self._process.join()


def _in_order(workers: Sequence[Worker], parts: Iterable[Any]) -> Iterator[Any]:
    """Yields results in order. Each worker gets its next part before its last result is yielded."""
    busy: deque[Worker] = deque()
    for worker, part in zip(cycle(workers), parts, strict=False):
        if len(busy) < len(workers):
            worker.give(part)
        else:
            result = busy.popleft().take()  # from the same worker
            worker.give(part)
            yield result
        busy.append(worker)
    for worker in busy:
        yield worker.take()


def _serve(connection: Connection, interrupts: Connection | None) -> None:
    """Runs a worker process until its parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to all processes; the parent handles it
    arguments = [] if interrupts is None else [partial(_was_interrupted, interrupts)]
    try:
        work = connection.recv()
        while True:
            connection.send(_answer(work, connection.recv(), *arguments))
    except (EOFError, OSError):
        return


def _was_interrupted(interrupts: Connection) -> bool:
    """Returns whether there was an interrupt since the last call."""
    was = False
    while interrupts.poll():
        interrupts.recv_bytes()
        was = True
    return was


def _answer(work: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    try:
        return work(*arguments), None
    except Exception as error:
        if not isinstance(error, KotransError):
            error.add_note(traceback.format_exc())  # tracebacks are not pickled
        return None, error
