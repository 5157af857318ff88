"""Timing of phases across threads, and loops of a given duration."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import torch


def device_time(device: torch.device) -> float:
    """Waits until the device has finished its queued work, then returns the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


class Stopwatch:
    """Seconds per phase, summed over all threads that call `mark`.

    The first phase of each thread begins at `start`, so that its phases add up to the time since then.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Begins a phase in every thread; the time since the last mark is not counted."""
        self._began = device_time(self._device)
        self._last: dict[int, float] = {}

    def mark(self, phase: str) -> None:
        """Ends a phase of the calling thread and begins the next one."""
        now, thread = device_time(self._device), threading.get_ident()
        with self._lock:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last.get(thread, self._began)
            self._last[thread] = now

    def elapsed(self) -> float:
        """Returns the seconds since the start."""
        return device_time(self._device) - self._began


def rounds(seconds: float, least: int, report: Callable[[float], None] = lambda _: None) -> Iterator[int]:
    """Counts from 0 for the given time, but at least `least` rounds; `report` receives the seconds spent so far."""
    began = time.perf_counter()
    for number in count():
        spent = time.perf_counter() - began
        report(min(spent, seconds))
        if spent >= seconds and number >= least:
            return
        yield number
