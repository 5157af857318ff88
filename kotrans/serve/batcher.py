"""Threads run the model, each on one core, on the sentences of all clients together."""

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

from kotrans.continuous import Asked, ContinuousTranslator
from kotrans.errors import ModelError
from kotrans.translate import BatchTranslator, Translation

_STEPS = 4  # of a search, until sentences that came meanwhile join it


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
    """A queue of sentences and the threads that translate them, first come, first served; a context manager.

    No thread waits for another, and no sentence for one that it is translated together with.
    """

    def __init__(
        self,
        translator: BatchTranslator,
        *,
        threads: int = 1,
        max_waiting: int,
        on_batch: Callable[[int, float], None],
    ) -> None:
        """on_batch: told how many sentences a thread translates together for how many seconds, by that thread."""
        self._translator = translator
        self._size = translator.config.batch
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
        # OpenMP counts for each thread that calls it.
        torch.set_num_threads(torch.get_num_threads() if len(self._threads) == 1 else 1)
        running = _Running(self._translator)
        while (joining := self._next(len(running.sentences))) is not None:
            before = len(running.sentences) + len(joining)
            began = time.monotonic()
            try:
                running.translate(joining)
            finally:
                with self._changed:
                    self._taken -= before - len(running.sentences)
            if before:
                self._on_batch(before, time.monotonic() - began)

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
    """What a thread translates now."""

    def __init__(self, translator: BatchTranslator) -> None:
        self.sentences: set[Sentence] = set()
        self._translator = translator
        self._search = ContinuousTranslator[Sentence](translator)

    def translate(self, joining: Sequence[Sentence]) -> None:
        """Some steps for all sentences; those that are done are told to their jobs, and so is what goes wrong."""
        now = time.monotonic()
        for sentence in joining:
            sentence.job.started = sentence.job.started or now
        self.sentences.update(joining)
        try:
            self._search.add([asked for sentence in joining for asked in self._prepared(sentence)])
            for sentence, translation in self._search.step(_STEPS):
                self.sentences.remove(sentence)
                sentence.job.finish(sentence.place, translation)
        except Exception as error:  # the model is damaged, or there is no memory, or it is a bug
            failed, self.sentences = self.sentences, set()
            self._search = ContinuousTranslator(self._translator)
            for sentence in failed:
                sentence.job.fail(error)

    def _prepared(self, sentence: Sentence) -> list[Asked[Sentence]]:
        """The sentence as the search takes it, or nothing if the model refuses it, which it then hears."""
        job = sentence.job
        try:
            (prepared,) = self._translator.prepare([job.lines[sentence.place]])
        except ModelError as error:
            self.sentences.remove(sentence)
            job.fail(ModelError(f"sentence {sentence.place + 1}: {str(error).removeprefix('line 1: ')}"))
            return []
        return [Asked(sentence, prepared, job.beam, job.n_best)]
