"""Prefetching: a thread prepares batches ahead of their use, so that the device does not wait for Python."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Self

import torch

from kotrans.data.batching import Batch
from kotrans.data.dataset import Position

AHEAD = 3
"""Batches prepared ahead: enough to bridge a slow one (a page from disk); more would only take memory."""

Item = tuple[Position, Batch]


class Prefetched:
    """Iterator over a stream whose items a thread prepares, up to AHEAD of their use.

    Each item contains the position after its batch, so resuming does not depend on how many were prepared ahead.
    Call `close()`; otherwise the thread keeps running.
    """

    def __init__(self, stream: Iterator[Item], device: torch.device) -> None:
        """For CUDA, batches are placed in pinned memory, from which they are copied while the device computes."""
        self.waited = 0.0
        """Seconds that the caller has waited for batches."""
        self._stream = stream
        self._device = device
        if device.type == "cuda" and device.index is None:
            # `cuda` is the current device of a thread: use the caller's, not the one of the prefetching thread.
            self._device = torch.device("cuda", torch.cuda.current_device())
        self._room = threading.Semaphore(AHEAD)
        self._ready: SimpleQueue[Item | BaseException] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._make, name="batches", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        """Returns the next item. Raises the stream's error, or StopIteration at its end."""
        began = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - began
        if isinstance(item, BaseException):
            self._ready.put(item)  # further calls raise it again instead of waiting
            raise item
        self._room.release()
        return item

    def close(self) -> None:
        """Stops the thread and waits for its end."""
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
        except BaseException as error:  # includes StopIteration; raised again in the caller
            self._ready.put(error)


def _pinned(batch: Batch, device: torch.device) -> Batch:
    with torch.cuda.device(device):  # a new thread uses device 0, and would allocate memory there
        return replace(batch, source=batch.source.pin_memory(), target=batch.target.pin_memory())
