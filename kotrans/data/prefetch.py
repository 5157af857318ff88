"""Batches made ahead of time by one thread, so that the device never waits for Python."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Self

import torch

from kotrans.data.batching import Batch, Position

# Enough to bridge a slow batch (a new epoch's plan, a page from disk); more would only hold memory.
AHEAD = 3

Item = tuple[Position, Batch]


class Prefetched:
    """The items of a stream in their order, made by a thread of its own up to AHEAD of their use.

    Each position stands beside its batch, so that a resume begins after the last batch used, whatever was made ahead.
    Whoever has it closes it, or the thread stays.
    """

    def __init__(self, stream: Iterator[Item], device: torch.device) -> None:
        """For CUDA the batches are put into pinned memory, from which they are copied while the device computes."""
        self.waited = 0.0
        """Seconds that the caller has waited for batches since the start."""
        self._stream = stream
        self._device = device
        if device.type == "cuda" and device.index is None:
            # `cuda` means the current card of a thread: the caller's, and not that of the thread which makes batches.
            self._device = torch.device("cuda", torch.cuda.current_device())
        self._room = threading.Semaphore(AHEAD)
        self._ready: SimpleQueue[Item | BaseException] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._make, name="batches", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        """The next item. Raises what the stream raised, StopIteration at its end."""
        began = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - began
        if isinstance(item, BaseException):
            self._ready.put(item)  # whoever asks again gets it again, and does not wait for ever
            raise item
        self._room.release()
        return item

    def close(self) -> None:
        """Ends the thread; returns when it has."""
        self._closed = True
        self._room.release()
        self._thread.join()

    def _make(self) -> None:
        try:
            while True:
                self._room.acquire()
                if self._closed:
                    return
                position, batch = next(self._stream)
                self._ready.put((position, _pinned(batch, self._device) if self._device.type == "cuda" else batch))
        except BaseException as error:  # the end of the stream, too: it is the caller's to see
            self._ready.put(error)


def _pinned(batch: Batch, device: torch.device) -> Batch:
    with torch.cuda.device(device):  # a thread starts on the first card, and would take memory there
        return replace(batch, source=batch.source.pin_memory(), target=batch.target.pin_memory())
