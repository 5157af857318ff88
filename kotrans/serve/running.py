"""The lines that a thread of the service has translated now."""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import count

from kotrans.errors import DataError
from kotrans.serve.jobs import Job, Line
from kotrans.serve.worker import TranslationWorker, WorkItem, is_out_of_memory
from kotrans.translation.continuous_batching import SearchRequest


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
