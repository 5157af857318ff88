"""What a thread of the service lets translate: a model in this process, or in one of its own.

A request while it is translated.
"""

import copy
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import NamedTuple, Protocol

import torch

from kotrans.parallel.process_pool import Worker
from kotrans.serve.responses import LineResult, found_line
from kotrans.translation.continuous_batching import ContinuousTranslator, SearchRequest
from kotrans.translation.postprocess import PreparedLine
from kotrans.translation.translator import BatchTranslator

_STEPS = 8  # of a search, until lines that came meanwhile join it


class WorkItem(NamedTuple):
    """A line to translate, and of how many of its translations the attention is answered."""

    asked: SearchRequest
    attention: int


Found = tuple[int, LineResult]
"""The key of a line, and its translations."""


class TranslationWorker(Protocol):
    """A search that runs for some steps at each call. After an error it is of no use any more."""

    def __call__(self, joining: Sequence[WorkItem], dropped: Collection[int]) -> list[Found]:
        """Adds lines, cancels those with the dropped keys, runs some steps, and returns the finished lines."""
        ...

    def interrupt(self) -> None:
        """Lets a call that is running return after its step. Any thread may call it."""
        ...

    def end(self) -> None:
        """Frees what it holds."""
        ...


class LocalWorker:
    """Translates in the thread that calls."""

    def __init__(self, translator: BatchTranslator, memory: int) -> None:
        """memory: bytes, see ContinuousTranslator."""
        self._translator = ContinuousTranslator(translator, memory)
        self._attention: dict[int, int] = {}  # by key
        self._interrupted = threading.Event()

    def __call__(
        self, joining: Sequence[WorkItem], dropped: Collection[int], interrupted: Callable[[], bool] | None = None
    ) -> list[Found]:
        """interrupted: called after each step; replaces the effect of `interrupt`."""
        self._translator.drop(dropped)
        for key in dropped:
            self._attention.pop(key, None)
        self._attention |= {wanted.asked.key: wanted.attention for wanted in joining}
        self._translator.add([wanted.asked for wanted in joining])
        answers = self._translator.step(_STEPS, interrupted or self._was_interrupted)
        return [(key, found_line(translation, self._attention.pop(key))) for key, translation in answers]

    def interrupt(self) -> None:
        self._interrupted.set()

    def _was_interrupted(self) -> bool:
        was = self._interrupted.is_set()
        self._interrupted.clear()
        return was

    def end(self) -> None:
        """Lets the memory of a graphics card go, which the next search may need."""
        del self._translator
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


class ProcessWorker:
    """Translates in a process of its own, on one core.

    Threads of one process take turns at what is not in its libraries; processes do not.
    """

    def __init__(self, load: Callable[[], BatchTranslator], memory: int) -> None:
        """`load` is sent to the process, and called there. Raises what it raises, or DataError if it is killed."""
        self._worker = Worker("translating", interruptible=True)
        try:
            self._worker.give(_LoadedModel(load, memory))
            self([], [])  # returns when the model is there
        except BaseException:
            self.end()
            raise

    def __call__(self, joining: Sequence[WorkItem], dropped: Collection[int]) -> list[Found]:
        """Raises DataError if the process was killed."""
        self._worker.give((joining, dropped))
        answers: list[Found] = self._worker.take()
        return answers

    def interrupt(self) -> None:
        self._worker.interrupt()

    def end(self) -> None:
        self._worker.end()


def start_of(
    translator: BatchTranslator, load: Callable[[], BatchTranslator], memory: int
) -> Callable[[], TranslationWorker]:
    """Starts what translates: the translator here if it has one thread, else what `load` loads, elsewhere."""
    return partial(LocalWorker, translator, memory) if translator.threads == 1 else partial(ProcessWorker, load, memory)


def without_model(translator: BatchTranslator) -> BatchTranslator:
    """A translator that can only `prepare` lines, so that the weights of its model can be freed."""
    preparing = copy.copy(translator)
    del preparing.stepper
    return preparing


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory of the machine or of a graphics card has run out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and ("allocate memory" in str(error) or "out of memory" in str(error))


class _LoadedModel:
    """The work of the process."""

    def __init__(self, load: Callable[[], BatchTranslator], memory: int) -> None:
        self._load = load
        self._memory = memory
        self._here: LocalWorker | None = None

    def __call__(
        self, message: tuple[Sequence[WorkItem], Collection[int]], interrupted: Callable[[], bool]
    ) -> list[Found]:
        if self._here is None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # comes to all: the service finishes what has begun
            torch.set_num_threads(1)
            self._here = LocalWorker(self._load(), self._memory)
        return self._here(*message, interrupted)


@dataclass(eq=False)
class Job:
    """The lines of a request. Who cancels `done` takes back those that are not translated yet."""

    lines: Sequence[PreparedLine]
    beam: int
    n_best: int
    attention: int  # of so many of the best translations of each line the attention is answered
    done: Future[list[LineResult]] = field(default_factory=Future)
    number: int = field(default_factory=count().__next__)
    created: float = field(default_factory=time.monotonic)  # seconds, as are the next two
    started: float = 0.0
    ended: float = 0.0
    taken: int = 0  # lines that are being translated, or have been
    found: dict[int, LineResult] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """What is translated by itself; a blank line counts, too."""
        return sum(max(1, len(line.parts)) for line in self.lines)

    @property
    def cost(self) -> int:
        """What it adds to the work that waits."""
        return self.parts * self.beam

    def finish(self, place: int, found: LineResult) -> None:
        """Takes the translations of a line; the last one ends the job."""
        self.found[place] = found
        if len(self.found) == len(self.lines):
            self.ended = time.monotonic()
            with suppress(InvalidStateError):  # cancelled meanwhile
                self.done.set_result([self.found[place] for place in range(len(self.lines))])

    def fail(self, error: Exception) -> None:
        """Ends the job without a result."""
        with suppress(InvalidStateError):  # cancelled meanwhile, or another of its lines failed first
            self.done.set_exception(error)


class Line(NamedTuple):
    """A line of a job."""

    job: Job
    place: int  # in the job

    @property
    def prepared(self) -> PreparedLine:
        return self.job.lines[self.place]

    @property
    def parts(self) -> int:
        return max(1, len(self.prepared.parts))
