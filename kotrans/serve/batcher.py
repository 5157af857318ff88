"""A queue of the sentences of all clients, and threads that let them be translated together."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import NamedTuple, Self

from kotrans.assembly import Translation
from kotrans.continuous import Asked
from kotrans.errors import DataError, ModelError
from kotrans.serve.translating import Translating


class Full(Exception):
    """Too many sentences wait, or the service is about to stop."""


@dataclass(eq=False)
class Job:
    """The sentences of a request. Who cancels `done` takes back those that are not being translated yet."""

    lines: Sequence[str]
    beam: int
    n_best: int
    done: Future[list[Translation]] = field(default_factory=Future)
    created: float = field(default_factory=time.monotonic)  # seconds, as are the next two
    started: float = 0.0
    ended: float = 0.0
    found: dict[int, Translation] = field(default_factory=dict)

    def finish(self, place: int, translation: Translation) -> None:
        """Takes the translation of a sentence; the last one ends the job."""
        self.found[place] = translation
        if len(self.found) == len(self.lines):
            self.ended = time.monotonic()
            with suppress(InvalidStateError):  # cancelled meanwhile
                self.done.set_result([self.found[place] for place in range(len(self.lines))])

    def fail(self, error: Exception) -> None:
        """Ends the job without a result."""
        with suppress(InvalidStateError):  # cancelled meanwhile, or another of its sentences failed first
            self.done.set_exception(error)


class Sentence(NamedTuple):
    """A sentence of a job."""

    job: Job
    place: int  # in the job


class Batcher:
    """A queue of sentences and the threads that let them be translated, first come, first served; a context manager.

    No thread waits for another, and no sentence for one that it is translated together with.
    """

    def __init__(
        self,
        start: Callable[[], Translating],
        *,
        threads: int,
        size: int,
        max_waiting: int,
        on_batch: Callable[[int, float], None],
    ) -> None:
        """start: called by each thread, and again after an error.

        size: the most sentences that a thread has translated together.
        on_batch: told how many they are and the seconds until it looked for more, by the thread.
        """
        self._start = start
        self._size = size
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: deque[Sentence] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._taken = 0  # sentences that are being translated
        self._threads = [
            threading.Thread(target=self._run, name=f"kotrans-batcher-{number}", daemon=True)
            for number in range(threads)
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
        """Sentences that wait."""
        return len(self._waiting)

    def submit(self, lines: Sequence[str], beam: int, n_best: int) -> Job:
        """Queues the sentences of a request. Raises Full."""
        job = Job(lines, beam, n_best)
        if not lines:
            job.started = job.ended = job.created
            job.done.set_result([])
        with self._changed:
            if self._stopping:
                raise Full("the service is about to stop; ask again when it has started anew")
            if len(self._waiting) + len(lines) > self._max_waiting:
                self._drop_cancelled()
            if len(self._waiting) + len(lines) > self._max_waiting:
                raise Full(f"{len(self._waiting):,} sentences are waiting already; ask again in a moment")
            self._waiting.extend(Sentence(job, place) for place in range(len(lines)))
            self._changed.notify_all()
        return job

    def _run(self) -> None:
        running = _Running(self._start)
        try:
            while (joining := self._next(running.count)) is not None:
                before = running.count + len(joining)
                began = time.monotonic()
                running.translate(joining)
                with self._changed:
                    self._taken -= before - running.count
                if before:
                    self._on_batch(before, time.monotonic() - began)
        finally:
            running.end()

    def _next(self, running: int) -> list[Sentence] | None:
        """What joins those that a thread translates already, perhaps nothing; None when nothing is left to do."""
        with self._changed:
            if not running:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
            if not running and not self._waiting:
                return None
            self._drop_cancelled()
            # Each thread's part of what waits and is being translated.
            part = -(-(len(self._waiting) + self._taken) // len(self._threads))
            room = max(0, min(part, self._size) - running)
            joining = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
            self._taken += len(joining)
            return joining

    def _drop_cancelled(self) -> None:
        self._waiting = deque(sentence for sentence in self._waiting if not sentence.job.done.done())


class _Running:
    """The sentences that a thread has translated now."""

    def __init__(self, start: Callable[[], Translating]) -> None:
        self._start = start
        self._translating: Translating | None = None
        self._sentences: dict[int, Sentence] = {}
        self._numbers = count()
        self._unsent: list[int] = []  # the numbers of those that `_translating` does not have yet
        self._again: set[int] = set()  # of those that a process that was killed had
        with suppress(Exception):  # it is tried again when there is a job that can be told
            self._translating = start()

    @property
    def count(self) -> int:
        return len(self._sentences)

    def translate(self, joining: Sequence[Sentence]) -> None:
        """Some steps for all sentences; those that are done are told to their jobs, and so is what goes wrong."""
        now, new = time.monotonic(), dict(zip(self._numbers, joining, strict=False))
        for sentence in joining:
            sentence.job.started = sentence.job.started or now
        self._sentences |= new
        self._unsent += new
        try:
            self._translating = self._translating or self._start()
            answers = self._translating([_asked(number, self._sentences[number]) for number in self._unsent])
        except DataError as error:  # a process was killed, for reasons of its own or by one of these
            self.end()
            self._fail(self._again & self._sentences.keys(), error)
            self._again, self._unsent = set(self._sentences), list(self._sentences)
            return
        except Exception as error:  # the model is damaged, or there is no memory, or it is a bug
            self.end()
            self._fail(set(self._sentences), error)
            answers = []
        self._unsent = []
        for number, found in answers:
            job, place = self._sentences.pop(number)
            if isinstance(found, ModelError):
                job.fail(ModelError(f"sentence {place + 1}: {str(found).removeprefix('line 1: ')}"))
            else:
                job.finish(place, found)

    def _fail(self, numbers: Collection[int], error: Exception) -> None:
        for number in numbers:
            self._sentences.pop(number).job.fail(error)

    def end(self) -> None:
        """Frees what translates; the next sentences start it anew."""
        if self._translating is not None:
            self._translating.end()
        self._translating = None


def _asked(number: int, sentence: Sentence) -> Asked:
    job = sentence.job
    return Asked(number, job.lines[sentence.place], job.beam, job.n_best)
