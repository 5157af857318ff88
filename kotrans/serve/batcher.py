"""Threads run the model, each on one core, on the sentences of all clients that wait together."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

import torch

from kotrans.errors import ModelError
from kotrans.translate import BatchTranslator, Translation

_WORTH = 0.1  # of the time of a batch may be spent on gathering the next one


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

    @property
    def line(self) -> str:
        return self.job.lines[self.place]

    @property
    def kind(self) -> tuple[int, int]:
        """Only sentences of one kind can be searched together."""
        return self.job.beam, self.job.n_best


class _Batch(NamedTuple):
    """What a thread translated last."""

    sentences: int
    seconds: float


class Batcher:
    """A queue of sentences and the threads that translate them, first come, first served; a context manager.

    No thread waits for another: a batch divided among them would take as long as its longest sentences.
    """

    def __init__(
        self,
        translator: BatchTranslator,
        *,
        threads: int = 1,
        gather_seconds: float,
        max_waiting: int,
        on_batch: Callable[[int, float], None],
    ) -> None:
        """on_batch: told the number of sentences of each batch and its seconds, by the thread that translated it."""
        self._translator = translator
        self._size = translator.config.batch
        self._gather_seconds = gather_seconds
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: deque[Sentence] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._translated_now = 0  # sentences
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
        # OpenMP counts for each thread that calls it.
        torch.set_num_threads(torch.get_num_threads() if len(self._threads) == 1 else 1)
        last = _Batch(self._size, 0.0)
        while (batch := self._next(last)) is not None:
            if not batch:
                continue
            began = time.monotonic()
            try:
                self._translate(batch)
            finally:
                last = _Batch(len(batch), time.monotonic() - began)
                with self._changed:
                    self._translated_now -= len(batch)

    def _next(self, last: _Batch) -> list[Sentence] | None:
        """The next batch, perhaps empty; None when nothing will come any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if not self._waiting:
                return None
            self._gather(last)
            return self._take()

    def _gather(self, last: _Batch) -> None:
        """Waits until as many wait as this thread translated last, but not for longer than it can be worth.

        Clients who have just been answered ask again one after another, and without them the next batch would be
        half empty.
        """
        self._changed.wait_for(
            lambda: len(self._waiting) >= last.sentences or self._stopping,
            timeout=max(self._gather_seconds, _WORTH * last.seconds),
        )

    def _take(self) -> list[Sentence]:
        """This thread's part of what waits and is being translated."""
        self._drop_cancelled()
        part = -(-(len(self._waiting) + self._translated_now) // len(self._threads))
        kind = self._waiting[0].kind if self._waiting else None
        batch = [sentence for sentence in self._waiting if sentence.kind == kind][: min(part, self._size)]
        taken = set(batch)
        self._waiting = deque(sentence for sentence in self._waiting if sentence not in taken)
        self._translated_now += len(batch)
        return batch

    def _drop_cancelled(self) -> None:
        self._waiting = deque(sentence for sentence in self._waiting if not sentence.job.done.done())

    def _translate(self, batch: Sequence[Sentence]) -> None:
        began = time.monotonic()
        for sentence in batch:
            sentence.job.started = sentence.job.started or began
        try:
            self._finish(batch)
        except ModelError as error:
            if len(batch) == 1:
                batch[0].job.fail(ModelError(f"sentence {batch[0].place + 1}: {str(error).removeprefix('line 1: ')}"))
            else:  # the model refuses a sentence; the others shall not suffer from it
                for sentence in batch:
                    self._translate([sentence])
        except Exception as error:  # a bug, or no memory: those who wait are told, and the thread goes on
            for sentence in batch:
                sentence.job.fail(error)
        else:
            self._on_batch(len(batch), time.monotonic() - began)

    def _finish(self, batch: Sequence[Sentence]) -> None:
        beam, n_best = batch[0].kind
        translations = list(self._translator.alone(beam).translate([sentence.line for sentence in batch], n_best))
        for sentence, translation in zip(batch, translations, strict=True):
            sentence.job.finish(sentence.place, translation)
