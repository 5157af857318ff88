"""A queue of the lines of all clients, and threads that let them be translated together.

The lines that a thread of the service has translated now.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from kotrans.errors import DataError
from kotrans.parallel.fair_queue import FairQueue
from kotrans.serve.responses import LineResult
from kotrans.serve.worker import Job, Line, TranslationWorker, WorkItem, is_out_of_memory
from kotrans.translation.continuous_batching import SearchRequest
from kotrans.translation.postprocess import PreparedLine


class WorkInProgress:
    """Lines that are being translated, and what translates them. For one thread, but for `has` and `interrupt`."""

    def __init__(self, start: Callable[[], TranslationWorker]) -> None:
        self._start = start
        self._translating: TranslationWorker | None = None
        self._lines: dict[int, Line] = {}
        self._numbers = count()
        self._unsent: list[int] = []  # the numbers of those that `_translating` does not have yet
        self._again: set[int] = set()  # of those that a process that was killed had
        self.parts = 0
        """Of its lines, and of those that are about to join."""

    @property
    def lines(self) -> int:
        """How many there are."""
        return len(self._lines)

    @property
    def ready(self) -> bool:
        """Whether it has a model."""
        return self._translating is not None

    def has(self, job: Job) -> bool:
        """Whether a line of the job is among them."""
        return any(line.job is job for line in list(self._lines.values()))

    def interrupt(self) -> None:
        """Lets `translate` return after a step."""
        if (translating := self._translating) is not None:
            translating.interrupt()

    def load(self) -> None:
        """Gets the model, if that is possible now."""
        with suppress(Exception):  # it is tried again when there is a job that can be told
            self._translating = self._translating or self._start()

    def translate(self, joining: Sequence[Line]) -> None:
        """Runs some steps for all lines, and reports finished lines and errors to their jobs."""
        now, new = time.monotonic(), dict(zip(self._numbers, joining, strict=False))
        for line in joining:
            line.job.started = line.job.started or now
        self._lines |= new
        self._unsent += new
        dropped = [number for number, line in self._lines.items() if line.job.done.done()]
        self._forget(dropped)
        try:
            self._translating = self._translating or self._start()
            answers = self._translating([self._wanted(number) for number in self._unsent], dropped)
        except DataError as error:  # a process was killed, for reasons of its own or by one of these
            self.end()
            self._fail(self._again & self._lines.keys(), error)
            self._again, self._unsent = set(self._lines), list(self._lines)
            self.load()
            return
        except Exception as error:  # the model is damaged, or there is no memory, or it is a bug
            self.end()
            self._fail(set(self._lines), MemoryError(str(error)) if is_out_of_memory(error) else error)
            answers = []
            self.load()
        self._unsent = []
        for number, found in answers:
            line = self._lines[number]
            self._forget([number])
            line.job.finish(line.place, found)

    def _wanted(self, number: int) -> WorkItem:
        job, place = self._lines[number]
        return WorkItem(SearchRequest(number, job.lines[place], job.beam, job.n_best, job.number), job.attention)

    def _forget(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self.parts -= self._lines.pop(number).parts
        gone = set(numbers)
        self._unsent = [number for number in self._unsent if number not in gone]

    def _fail(self, numbers: Collection[int], error: Exception) -> None:
        jobs = {self._lines[number].job for number in numbers}
        self._forget(numbers)
        for job in jobs:
            job.fail(error)

    def end(self) -> None:
        """Ends the worker; the next lines start another one."""
        translating, self._translating = self._translating, None
        if translating is not None:
            translating.end()


_MOST_LINES = 2  # times the size of a batch, in a thread that is full, for requests that have nothing running yet
_SECONDS_TO_RETRY = 1.0  # to load the model, while nobody asks


class QueueFull(Exception):
    """Too much waits, or the service is about to stop."""


class TranslationQueue:
    """A queue of lines and the threads that let them be translated; a context manager.

    Requests take turns, so that a short one does not wait for all lines of a long one, and no line waits for one that
    it is translated together with. A request whose future is cancelled leaves the queue and the searches.
    """

    def __init__(
        self,
        start: Callable[[], TranslationWorker],
        *,
        threads: int,
        size: int,
        max_waiting: int,
        on_batch: Callable[[int, float], None],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """start: called by each thread, and again after an error.

        size: the parts that a thread has translated together; it gets more if a single line has more.
        max_waiting: the most parts times beam that may wait.
        on_batch: told how many lines they are and the seconds until it looked for more, by the thread.
        on_ready: called once, by the thread that is the last to have its model.
        """
        self._size = size
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._on_ready = on_ready
        self._waiting: FairQueue[Job, Line] = FairQueue()
        self._waiting_cost = 0  # parts times beam
        self._waiting_parts = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._was_ready = False
        self._running = [WorkInProgress(start) for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._run, args=(running,), name=f"kotrans-batcher-{number}", daemon=True)
            for number, running in enumerate(self._running)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until all that was submitted is translated."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """Lines that wait."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether each thread has its model."""
        return all(running.ready for running in self._running)

    def submit(self, lines: Sequence[PreparedLine], beam: int, n_best: int, attention: int = 0) -> Job:
        """Queues the lines of a request. Raises Full."""
        job = Job(lines, beam, n_best, attention)
        if not lines:
            job.started = job.ended = job.created
            job.done.set_result([])
            return job
        with self._changed:
            if self._stopping:
                raise QueueFull("the service is about to stop; ask again when it has started anew")
            if self._waiting and self._waiting_cost + job.cost > self._max_waiting:
                raise QueueFull(f"{len(self._waiting):,} lines are waiting already; ask again in a moment")
            self._waiting.push(job, [Line(job, place) for place in range(len(lines))])
            self._waiting_cost += job.cost
            self._waiting_parts += job.parts
            self._changed.notify_all()
        job.done.add_done_callback(lambda done: self._forget(job, done))
        return job

    def _forget(self, job: Job, done: "Future[list[LineResult]]") -> None:
        """Removes the remaining lines of a job that was cancelled or has failed."""
        if not done.cancelled() and done.exception() is None:
            return
        with self._changed:
            for line in self._waiting.remove(job):
                self._no_longer_waits(line)
            running = [each for each in self._running if each.has(job)]
        for each in running:
            each.interrupt()

    def _no_longer_waits(self, line: Line) -> None:
        self._waiting_cost -= line.parts * line.job.beam
        self._waiting_parts -= line.parts

    def _run(self, running: WorkInProgress) -> None:
        try:
            self._load(running)
            while (joining := self._next(running)) is not None:
                before = running.lines + len(joining)
                if not before:
                    self._load(running)
                    continue
                began = time.monotonic()
                running.translate(joining)
                self._on_batch(before, time.monotonic() - began)
        finally:
            running.end()

    def _load(self, running: WorkInProgress) -> None:
        running.load()
        with self._changed:
            now_ready = self.ready and not self._was_ready
            self._was_ready |= now_ready
        if now_ready:
            self._on_ready()

    def _next(self, running: WorkInProgress) -> list[Line] | None:
        """What joins those that a thread translates already, perhaps nothing; None when nothing is left to do."""
        with self._changed:
            self._changed.wait_for(
                lambda: running.lines or self._waiting or self._stopping, None if running.ready else _SECONDS_TO_RETRY
            )
            if running.lines or self._waiting:
                return self._take(running)
            return None if self._stopping else []

    def _take(self, running: WorkInProgress) -> list[Line]:
        """Lines from the queue: a thread's share of what waits and runs, and a line of each request that has none."""
        share = -(-(self._waiting_parts + sum(each.parts for each in self._running)) // len(self._running))
        joining: list[Line] = []
        parts = running.parts

        def fits(job: Job, line: Line) -> bool:
            if parts < min(share, self._size):
                return True
            full = parts >= self._size
            return full and not job.taken and running.lines + len(joining) < _MOST_LINES * self._size

        while (line := self._waiting.pop(fits)) is not None:
            joining.append(line)
            parts += line.parts
            line.job.taken += 1
            self._no_longer_waits(line)
        running.parts = parts
        return joining
