"""Time by phase, and how long a part may take."""

import threading

import pytest
import torch

from kotrans.bench.clock import Stopwatch, rounds

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets."""
    now = [50.0]
    monkeypatch.setattr("kotrans.bench.clock.time.perf_counter", lambda: now[0])
    return now


def test_each_second_between_two_marks_belongs_to_the_phase_that_the_second_one_names(clock: list[float]) -> None:
    watch = Stopwatch(CPU)
    for phase, seconds in (("forward", 2), ("backward", 5), ("forward", 1)):
        clock[0] += seconds
        watch.mark(phase)
    assert watch.seconds == {"forward": 3, "backward": 5}
    assert watch.passed() == 8


def test_what_passes_before_a_start_belongs_to_no_phase(clock: list[float]) -> None:
    watch = Stopwatch(CPU)
    clock[0] += 100
    watch.start()
    clock[0] += 3
    watch.mark("forward")
    assert watch.seconds == {"forward": 3}


def test_threads_that_work_at_once_have_each_its_whole_time(clock: list[float]) -> None:
    watch = Stopwatch(CPU)

    both = threading.Barrier(2)

    def work(first: float, second: float) -> None:
        with lock:
            for passed, phase in ((first, "forward"), (second, "backward")):
                clock[0] = 50 + passed
                watch.mark(phase)
        both.wait()  # or the second thread might get the number of the first

    lock = threading.Lock()
    threads = [threading.Thread(target=work, args=times) for times in ((2.0, 6.0), (3.0, 8.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock[0] = 59
    assert watch.seconds == {"forward": 2 + 3, "backward": 4 + 5}
    assert watch.passed() == 9


@pytest.mark.parametrize(("each", "expected"), [(1.0, 10), (4.0, 3), (100.0, 3)])
def test_rounds_go_on_until_the_time_is_over_and_there_were_enough(
    each: float, expected: int, clock: list[float]
) -> None:
    told: list[float] = []
    numbers = []
    for number in rounds(10.0, 3, told.append):
        numbers.append(number)
        clock[0] += each
    assert numbers == list(range(expected))
    assert told == sorted(told)
    assert told[-1] == 10.0
