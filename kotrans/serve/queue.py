"""The queue of all requests, and the threads that have its lines translated together."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import NamedTuple, Self

from kotrans.errors import DataError
from kotrans.parallel.fair_queue import FairQueue
from kotrans.parallel.memory import is_out_of_memory
from kotrans.serve.responses import LineResult
from kotrans.serve.worker import TranslationWorker, WorkItem
from kotrans.translation.continuous_batching import SearchRequest
from kotrans.translation.postprocess import PreparedLine

_MAX_LINES = 2  # times the batch size: limit of lines in a full batch, for requests that have nothing running
_RETRY_SECONDS = 1.0  # between attempts to load the model while the queue is empty


class QueueFull(Exception):
    """The limit of waiting sentences is reached, or the service is stopping."""


@dataclass(eq=False)
class Job:
    """The lines of a request and their results. Cancelling `done` drops the lines that are not finished."""

    lines: Sequence[PreparedLine]
    beam: int
    n_best: int
    with_attention: int  # hypotheses per line whose attention weights are returned
    done: Future[list[LineResult]] = field(default_factory=Future)
    number: int = field(default_factory=count().__next__)
    created: float = field(default_factory=time.monotonic)  # seconds, as are `started` and `ended`
    started: float = 0.0
    ended: float = 0.0
    taken: int = 0  # lines that have left the queue
    results: dict[int, LineResult] = field(default_factory=dict)  # by number of the line

    @property
    def parts(self) -> int:
        """Units translated separately; a blank line counts as one."""
        return sum(max(1, len(line.parts)) for line in self.lines)

    @property
    def cost(self) -> int:
        """Parts times beam."""
        return self.parts * self.beam

    def finish(self, number: int, result: LineResult) -> None:
        """Sets the result of a line; the last one completes the job."""
        self.results[number] = result
        if len(self.results) == len(self.lines):
            self.ended = time.monotonic()
            with suppress(InvalidStateError):  # already cancelled
                self.done.set_result([self.results[number] for number in range(len(self.lines))])

    def fail(self, error: Exception) -> None:
        """Completes the job with an error."""
        with suppress(InvalidStateError):  # already cancelled, or another line has failed
            self.done.set_exception(error)


class JobLine(NamedTuple):
    """A line of a job."""

    job: Job
    number: int  # in the job

    @property
    def parts(self) -> int:
        """Units translated separately; a blank line counts as one."""
        return max(1, len(self.job.lines[self.number].parts))

    def work_item(self, key: int) -> WorkItem:
        """Returns the line as a request to a worker."""
        job = self.job
        return WorkItem(
            SearchRequest(key, job.lines[self.number], job.beam, job.n_best, job.number), job.with_attention
        )


class RunningBatch:
    """The lines that one thread has translated at the moment, and its worker.

    Only `has` and `interrupt` are thread-safe.
    """

    def __init__(self, start: Callable[[], TranslationWorker]) -> None:
        self._start = start
        self._worker: TranslationWorker | None = None
        self._lines: dict[int, JobLine] = {}  # by key
        self._keys = count()
        self._unsent: list[int] = []  # keys of lines that the worker does not have yet
        self._suspects: set[int] = set()  # keys of the lines that a killed worker had
        self.parts = 0
        """Parts of its lines, and of those about to join."""

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self._lines)

    @property
    def ready(self) -> bool:
        """Whether the worker has loaded the model."""
        return self._worker is not None

    def has(self, job: Job) -> bool:
        """Whether a line of the job is in the batch."""
        return any(line.job is job for line in list(self._lines.values()))

    def interrupt(self) -> None:
        """Makes `translate` return after its current step."""
        if (worker := self._worker) is not None:
            worker.interrupt()

    def load(self) -> None:
        """Starts the worker. Errors are ignored: `translate` tries again and reports them to a job."""
        with suppress(Exception):
            self._worker = self._worker or self._start()

    def translate(self, joining: Sequence[JobLine]) -> None:
        """Runs some search steps for all lines, and reports finished lines and errors to their jobs."""
        now, new = time.monotonic(), dict(zip(self._keys, joining, strict=False))
        for line in joining:
            line.job.started = line.job.started or now
        self._lines |= new
        self._unsent += new
        dropped = [key for key, line in self._lines.items() if line.job.done.done()]
        self._forget(dropped)
        try:
            self._worker = self._worker or self._start()
            finished = self._worker([self._lines[key].work_item(key) for key in self._unsent], dropped)
        except DataError as error:  # the worker was killed: its lines get a second try, and fail the second time
            self.end()
            self._fail(self._suspects & self._lines.keys(), error)
            self._suspects, self._unsent = set(self._lines), list(self._lines)
            self.load()
            return
        except Exception as error:  # a damaged model, no memory, or a bug
            self.end()
            self._fail(set(self._lines), MemoryError(str(error)) if is_out_of_memory(error) else error)
            finished = []
            self.load()
        self._unsent = []
        for key, result in finished:
            line = self._lines[key]
            self._forget([key])
            line.job.finish(line.number, result)

    def end(self) -> None:
        """Ends the worker; the next call of `translate` starts another one."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _forget(self, keys: Collection[int]) -> None:
        for key in keys:
            self.parts -= self._lines.pop(key).parts
        removed = set(keys)
        self._unsent = [key for key in self._unsent if key not in removed]

    def _fail(self, keys: Collection[int], error: Exception) -> None:
        jobs = {self._lines[key].job for key in keys}
        self._forget(keys)
        for job in jobs:
            job.fail(error)


class TranslationQueue:
    """A queue of lines, and the threads that have them translated. A context manager.

    Requests take turns, so that a short request does not wait for all lines of a long one, and a line is returned
    without waiting for the others in its batch. Cancelling the future of a job removes its lines.
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
        """start: starts a worker; called by each thread, and again after an error.

        size: parts per thread that are translated together; a single line with more parts is still accepted.
        max_waiting: limit of parts times beam in the queue.
        on_batch: called by a thread after each round of steps, with the number of lines and the seconds.
        on_ready: called once, when the last thread has loaded the model.
        """
        self._size = size
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._on_ready = on_ready
        self._waiting: FairQueue[Job, JobLine] = FairQueue()
        self._waiting_cost = 0  # parts times beam
        self._waiting_parts = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._was_ready = False
        self._batches = [RunningBatch(start) for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._run, args=(batch,), name=f"kotrans-queue-{number}", daemon=True)
            for number, batch in enumerate(self._batches)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until all submitted jobs are done."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """Lines in the queue."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether every thread has loaded the model."""
        return all(batch.ready for batch in self._batches)

    def submit(self, lines: Sequence[PreparedLine], beam: int, n_best: int, with_attention: int = 0) -> Job:
        """Queues the lines of a request. Raises QueueFull."""
        job = Job(lines, beam, n_best, with_attention)
        if not lines:
            job.started = job.ended = job.created
            job.done.set_result([])
            return job
        with self._changed:
            if self._stopping:
                raise QueueFull("the service is shutting down; retry later")
            if self._waiting and self._waiting_cost + job.cost > self._max_waiting:
                raise QueueFull(f"the queue is full ({len(self._waiting):,} lines are waiting); retry later")
            self._waiting.push(job, [JobLine(job, number) for number in range(len(lines))])
            self._waiting_cost += job.cost
            self._waiting_parts += job.parts
            self._changed.notify_all()
        job.done.add_done_callback(lambda done: self._remove(job, done))
        return job

    def _remove(self, job: Job, done: "Future[list[LineResult]]") -> None:
        """Removes the remaining lines of a job that was cancelled or has failed."""
        if not done.cancelled() and done.exception() is None:
            return
        with self._changed:
            for line in self._waiting.remove(job):
                self._subtract(line)
            running = [batch for batch in self._batches if batch.has(job)]
        for batch in running:
            batch.interrupt()

    def _subtract(self, line: JobLine) -> None:
        self._waiting_cost -= line.parts * line.job.beam
        self._waiting_parts -= line.parts

    def _run(self, batch: RunningBatch) -> None:
        try:
            self._load(batch)
            while (joining := self._next_lines(batch)) is not None:
                lines = batch.lines + len(joining)
                if not lines:
                    self._load(batch)
                    continue
                began = time.monotonic()
                batch.translate(joining)
                self._on_batch(lines, time.monotonic() - began)
        finally:
            batch.end()

    def _load(self, batch: RunningBatch) -> None:
        batch.load()
        with self._changed:
            is_first = self.ready and not self._was_ready
            self._was_ready |= is_first
        if is_first:
            self._on_ready()

    def _next_lines(self, batch: RunningBatch) -> list[JobLine] | None:
        """Returns the lines that join the batch, perhaps none; None if the queue is empty and the service stops."""
        with self._changed:
            self._changed.wait_for(
                lambda: batch.lines or self._waiting or self._stopping, None if batch.ready else _RETRY_SECONDS
            )
            if batch.lines or self._waiting:
                return self._take(batch)
            return None if self._stopping else []

    def _take(self, batch: RunningBatch) -> list[JobLine]:
        """Takes the thread's share of all parts that wait or run, and a line of each request that has none running."""
        share = -(-(self._waiting_parts + sum(each.parts for each in self._batches)) // len(self._batches))
        joining: list[JobLine] = []
        parts = batch.parts

        def fits(job: Job, line: JobLine) -> bool:
            if parts < min(share, self._size):
                return True
            is_full = parts >= self._size
            return is_full and not job.taken and batch.lines + len(joining) < _MAX_LINES * self._size

        while (line := self._waiting.pop(fits)) is not None:
            joining.append(line)
            parts += line.parts
            line.job.taken += 1
            self._subtract(line)
        batch.parts = parts
        return joining
