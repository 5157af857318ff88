"""What a thread of the service lets translate: a model in this process, or in one of its own."""

import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from kotrans.assembly import packed, unpacked
from kotrans.continuous import Answer, Asked, ContinuousTranslator
from kotrans.errors import ModelError
from kotrans.processes import Worker
from kotrans.translate import BatchTranslator

_STEPS = 8  # of a search, until lines that came meanwhile join it


class Translating(Protocol):
    """A search that runs for some steps at each call. After an error it is of no use any more."""

    def __call__(self, joining: Sequence[Asked]) -> list[Answer]:
        """Takes lines in, goes on for some steps with all that it has, and answers those that are done."""
        ...

    def end(self) -> None:
        """Frees what it holds."""
        ...


class Here:
    """Translates in the thread that calls."""

    def __init__(self, translator: BatchTranslator) -> None:
        self._translator = ContinuousTranslator(translator)

    def __call__(self, joining: Sequence[Asked]) -> list[Answer]:
        self._translator.add(joining)
        return self._translator.step(_STEPS)

    def end(self) -> None:
        """Nothing is held."""


class Elsewhere:
    """Translates in a process of its own, on one core.

    Threads of one process take turns at what is not in its libraries; processes do not.
    """

    def __init__(self, load: Callable[[], BatchTranslator]) -> None:
        """`load` is sent to the process, and called there. Raises what it raises, or DataError if it is killed."""
        self._worker = Worker("translating")
        try:
            self._worker.give(_Loaded(load))
            self([])  # comes back when the model is there
        except BaseException:
            self.end()
            raise

    def __call__(self, joining: Sequence[Asked]) -> list[Answer]:
        """Raises DataError if the process was killed."""
        self._worker.give(joining)
        answers: list[tuple[int, Any]] = self._worker.take()
        return [(key, found if isinstance(found, ModelError) else unpacked(found)) for key, found in answers]

    def end(self) -> None:
        self._worker.end()


def start_of(translator: BatchTranslator, load: Callable[[], BatchTranslator]) -> Callable[[], Translating]:
    """Starts what translates: the translator here if it has one thread, else what `load` loads, elsewhere."""
    return partial(Here, translator) if translator.threads == 1 else partial(Elsewhere, load)


class _Loaded:
    """The work of the process."""

    def __init__(self, load: Callable[[], BatchTranslator]) -> None:
        self._load = load
        self._here: Here | None = None

    def __call__(self, joining: Sequence[Asked]) -> list[Answer]:
        if self._here is None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # comes to all: the service finishes what has begun
            torch.set_num_threads(1)
            self._here = Here(self._load())
        answers = self._here(joining)
        return [(key, found if isinstance(found, ModelError) else packed(found)) for key, found in answers]
