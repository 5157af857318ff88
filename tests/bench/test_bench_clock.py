"""Timing of phases, and loops of a given duration."""

import threading

import pytest
import torch

from kotrans.bench.clock import Stopwatch, rounds

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The current time, set by the test."""
    now = [50.0]
    monkeypatch.setattr("kotrans.bench.clock.time.perf_counter", lambda: now[0])
    return now


def test_a_mark_adds_the_time_since_the_previous_mark_to_its_phase(clock: list[float]) -> None:
    watch = Stopwatch(CPU)
    for phase, seconds in (("forward", 2), ("backward", 5), ("forward", 1)):
        clock[0] += seconds
        watch.mark(phase)
    assert watch.seconds == {"forward": 3, "backward": 5}
    assert watch.elapsed() == 8


def test_time_before_a_start_is_not_counted(clock: list[float]) -> None:
    watch = Stopwatch(CPU)
    clock[0] += 100
    watch.start()
    clock[0] += 3
    watch.mark("forward")
    assert watch.seconds == {"forward": 3}


def test_phases_of_concurrent_threads_are_summed(clock: list[float]) -> None:
    watch = Stopwatch(CPU)
    both, lock = threading.Barrier(2), threading.Lock()

    def work(first: float, second: float) -> None:
        with lock:
            for elapsed, phase in ((first, "forward"), (second, "backward")):
                clock[0] = 50 + elapsed
                watch.mark(phase)
        both.wait()  # otherwise the second thread could reuse the identifier of the first

    threads = [threading.Thread(target=work, args=times) for times in ((2.0, 6.0), (3.0, 8.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock[0] = 59
    assert watch.seconds == {"forward": 2 + 3, "backward": 4 + 5}
    assert watch.elapsed() == 9


@pytest.mark.parametrize(("each", "expected"), [(1.0, 10), (4.0, 3), (100.0, 3)])
def test_rounds_continue_until_time_is_up_and_the_minimum_is_reached(
    each: float, expected: int, clock: list[float]
) -> None:
    reported: list[float] = []
    numbers = []
    for number in rounds(10.0, 3, reported.append):
        numbers.append(number)
        clock[0] += each
    assert numbers == list(range(expected))
    assert reported == sorted(reported)
    assert reported[-1] == 10.0
