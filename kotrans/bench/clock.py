"""Time, split by phase and shared out among what is to be measured."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import torch


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was given: the clock of the host means nothing before."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Stopwatch:
    """Seconds of each phase, in every thread that marks any: a mark ends the phase it names, and the next begins there.

    All threads begin with the start, so that the phases of a thread that works on without a rest are its whole time.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        """Of all threads together."""
        self._device = device
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Begins a phase here; what was since the last mark belongs to none."""
        synchronize(self._device)
        self._began = time.perf_counter()
        self._last: dict[int, float] = {}

    def mark(self, phase: str) -> None:
        """Ends a phase of the thread that calls."""
        synchronize(self._device)
        now, thread = time.perf_counter(), threading.get_ident()
        with self._lock:
            spent = now - self._last.get(thread, self._began)
            self.seconds[phase] = self.seconds.get(phase, 0.0) + spent
            self._last[thread] = now

    def passed(self) -> float:
        """Seconds since the start."""
        synchronize(self._device)
        return time.perf_counter() - self._began


def rounds(seconds: float, least: int, tell: Callable[[float], None] = lambda _: None) -> Iterator[int]:
    """Counts from 0 until the seconds are over and there were `least` rounds; `tell` hears the seconds spent."""
    began = time.perf_counter()
    for number in count():
        spent = time.perf_counter() - began
        if spent >= seconds and number >= least:
            tell(seconds)
            return
        tell(min(spent, seconds))
        yield number
