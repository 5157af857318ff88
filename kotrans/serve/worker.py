"""Workers that run the search: in a thread of this process, or in a process of their own."""

import copy
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from kotrans.parallel.process_pool import Worker
from kotrans.serve.responses import LineResult, line_result
from kotrans.translation.continuous_batching import ContinuousTranslator, SearchRequest
from kotrans.translation.translator import Translator

_STEPS = 8  # of the search per call; new lines join between calls


class WorkItem(NamedTuple):
    """A line to translate."""

    search: SearchRequest
    with_attention: int
    """Number of hypotheses whose attention weights are returned."""


Finished = tuple[int, LineResult]
"""Key and result of a line."""


class TranslationWorker(Protocol):
    """A search that runs some steps per call. Unusable after an exception."""

    def __call__(self, joining: Sequence[WorkItem], dropped: Collection[int]) -> list[Finished]:
        """Adds lines, cancels those with the keys `dropped`, runs some steps, and returns the finished lines."""
        ...

    def interrupt(self) -> None:
        """Makes a running call return after its current step. Thread-safe."""
        ...

    def end(self) -> None:
        """Releases all resources."""
        ...


class LocalWorker:
    """Translates in the calling thread."""

    def __init__(self, translator: Translator, memory: int) -> None:
        """memory: limit in bytes, see ContinuousTranslator."""
        self._translator = ContinuousTranslator(translator, memory)
        self._with_attention: dict[int, int] = {}  # by key
        self._interrupted = threading.Event()

    def __call__(
        self, joining: Sequence[WorkItem], dropped: Collection[int], interrupted: Callable[[], bool] | None = None
    ) -> list[Finished]:
        """interrupted: polled after each step, instead of the flag set by `interrupt`."""
        self._translator.drop(dropped)
        for key in dropped:
            self._with_attention.pop(key, None)
        self._with_attention |= {item.search.key: item.with_attention for item in joining}
        self._translator.add([item.search for item in joining])
        finished = self._translator.step(_STEPS, interrupted or self._take_interrupt)
        return [(key, line_result(translation, self._with_attention.pop(key))) for key, translation in finished]

    def interrupt(self) -> None:
        self._interrupted.set()

    def _take_interrupt(self) -> bool:
        was_set = self._interrupted.is_set()
        self._interrupted.clear()
        return was_set

    def end(self) -> None:
        """Frees GPU memory for the next search."""
        del self._translator
        torch = sys.modules.get("torch")  # if it was never imported, no GPU was used
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


class ProcessWorker:
    """Translates in a process of its own, on one core, because threads of one process share the interpreter lock."""

    def __init__(self, load: Callable[[], Translator], memory: int) -> None:
        """Waits until the process has loaded the model; raises what `load` raises, or DataError if it was killed.

        load: pickled and called in the process.
        """
        self._worker = Worker("translating", interruptible=True)
        try:
            self._worker.give(_ProcessMain(load, memory))
            self([], [])  # returns when the model is loaded
        except BaseException:
            self.end()
            raise

    def __call__(self, joining: Sequence[WorkItem], dropped: Collection[int]) -> list[Finished]:
        """Raises DataError if the process was killed."""
        self._worker.give((joining, dropped))
        finished: list[Finished] = self._worker.take()
        return finished

    def interrupt(self) -> None:
        self._worker.interrupt()

    def end(self) -> None:
        self._worker.end()


class _ProcessMain:
    """Handles the messages of a ProcessWorker in its process."""

    def __init__(self, load: Callable[[], Translator], memory: int) -> None:
        self._load = load
        self._memory = memory
        self._local: LocalWorker | None = None

    def __call__(
        self, message: tuple[Sequence[WorkItem], Collection[int]], interrupted: Callable[[], bool]
    ) -> list[Finished]:
        if self._local is None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the service ends this process after its last response
            self._local = LocalWorker(self._load(), self._memory)
        return self._local(*message, interrupted)


def worker_factory(
    translator: Translator, load: Callable[[], Translator], memory: int
) -> Callable[[], TranslationWorker]:
    """Returns a function that starts a worker: local if the translator has one thread, else a process that loads."""
    return partial(LocalWorker, translator, memory) if translator.threads == 1 else partial(ProcessWorker, load, memory)


def without_model(translator: Translator) -> Translator:
    """Returns a translator that can only `prepare` lines and does not keep the weights in memory."""
    preparing = copy.copy(translator)
    del preparing.stepper
    return preparing
