"""The threads behind the service, with a translator that can be held up and made to fail."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import partial

import pytest

from kotrans.errors import DataError
from kotrans.serve.queue import QueueFull, TranslationQueue
from kotrans.serve.worker import Job, LocalWorker
from tests.held_translator import SECONDS, STEPS, Held, prepared

MEMORY = 100_000_000


@pytest.fixture
def held() -> Held:
    return Held()


def batcher_of(
    held: Held,
    threads: int = 1,
    size: int = 3,
    on_batch: Callable[[int, float], None] = lambda lines, seconds: None,
    max_waiting: int = 8,
) -> TranslationQueue:
    return TranslationQueue(
        partial(LocalWorker, held, MEMORY), threads=threads, size=size, max_waiting=max_waiting, on_batch=on_batch
    )


@pytest.fixture
def batcher(held: Held) -> Iterator[TranslationQueue]:
    with batcher_of(held) as running:
        yield running
        held.held.let_go()


def submit(batcher: TranslationQueue, *lines: str, beam: int = 1, n_best: int = 1) -> Job:
    return batcher.submit([prepared(line) for line in lines], beam, n_best)


def hold(batcher: TranslationQueue, held: Held) -> Job:
    """A job that keeps the thread busy, so that what comes next waits."""
    job = submit(batcher, "first")
    assert held.held.busy.wait(SECONDS)
    return job


def texts(job: Job) -> list[str]:
    return [line.texts[0].text for line in job.done.result(SECONDS)]


def test_requests_take_turns_and_one_that_has_nothing_running_joins_a_full_search(
    batcher: TranslationQueue, held: Held
) -> None:
    first = hold(batcher, held)
    jobs = [submit(batcher, *lines) for lines in ("a", "bc", "d")]
    held.held.let_go()
    assert [texts(job) for job in (first, *jobs)] == [["first"], ["a"], ["b", "c"], ["d"]]
    assert held.held.joined == [["first"], ["a", "b", "d"], ["c"]]  # a batch of three is full
    assert max(held.held.rows) == 4
    assert sum(held.held.rows) == 5 * STEPS  # none stayed longer than its own translation took


def test_a_short_request_is_done_before_a_long_one_that_came_first(held: Held) -> None:
    with batcher_of(held, max_waiting=1000) as batcher:
        hold(batcher, held)
        long = submit(batcher, *["a b c d e f g h"] * 50)
        short = submit(batcher, "s")
        unfinished: list[bool] = []
        short.done.add_done_callback(lambda done: unfinished.append(not long.done.done()))
        held.held.let_go()
        assert len(texts(long)) == 50
    assert unfinished == [True]
    parts = [part for joined in held.held.joined for part in joined]
    assert parts.index("s") < 40  # of 400


def test_lines_of_any_beam_are_searched_together(batcher: TranslationQueue, held: Held) -> None:
    hold(batcher, held)
    jobs = [submit(batcher, line, beam=beam, n_best=n_best) for line, beam, n_best in [("a", 2, 1), ("b", 3, 2)]]
    held.held.let_go()
    assert [texts(job) for job in jobs] == [["a"], ["b"]]
    assert max(held.held.rows) == 1 + 2 + 3


def test_a_blank_line_is_answered_without_a_search(batcher: TranslationQueue, held: Held) -> None:
    assert texts(submit(batcher, "", "")) == ["", ""]
    assert not held.held.joined


def test_what_waits_is_counted_in_parts_times_beam(batcher: TranslationQueue, held: Held) -> None:
    hold(batcher, held)
    submit(batcher, "a b", beam=2)
    submit(batcher, "c d", beam=1)
    with pytest.raises(QueueFull, match="2 lines are waiting"):
        submit(batcher, "e", beam=3)
    submit(batcher, "e", beam=2)


def test_what_is_taken_back_is_not_translated_and_leaves_its_place(batcher: TranslationQueue, held: Held) -> None:
    hold(batcher, held)
    gone = submit(batcher, *["gone"] * 8)
    with pytest.raises(QueueFull, match="8 lines are waiting"):
        submit(batcher, "one-more")
    gone.done.cancel()
    kept = submit(batcher, "kept")
    held.held.let_go()
    assert texts(kept) == ["kept"]
    assert held.held.joined == [["first"], ["kept"]]


def test_what_is_being_translated_ends_within_a_step_of_being_taken_back(batcher: TranslationQueue, held: Held) -> None:
    gone = hold(batcher, held)
    other = submit(batcher, "other")
    gone.done.cancel()
    held.held.one_step.release()  # the step that is being taken
    held.held.let_go()
    assert texts(other) == ["other"]
    with pytest.raises(CancelledError):
        gone.done.result()
    assert len(held.held.rows) == 1 + STEPS
    assert set(held.held.rows) == {1}  # the first was gone before the other joined


def test_memory_that_runs_out_is_told_to_those_who_wait_and_the_thread_goes_on(
    batcher: TranslationQueue, held: Held
) -> None:
    first = hold(batcher, held)
    broken = submit(batcher, "broken")
    held.held.let_go()
    for job in (first, broken):
        with pytest.raises(MemoryError):
            job.done.result(SECONDS)
    assert texts(submit(batcher, "next")) == ["next"]


def test_leaving_translates_all_that_waits_and_takes_no_more(held: Held) -> None:
    held.held.let_go()
    with batcher_of(held) as batcher:
        job = submit(batcher, *"abcde")
    assert len(job.done.result(0)) == 5
    with pytest.raises(QueueFull, match="about to stop"):
        submit(batcher, "late")


def test_threads_take_equal_parts_and_none_waits_for_another(held: Held) -> None:
    with batcher_of(held, threads=2, size=8) as batcher:
        job = submit(batcher, *"abcdef")
        until = time.monotonic() + SECONDS
        while len(held.held.joined) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert sorted(held.held.joined) == [["a", "b", "c"], ["d", "e", "f"]]
        held.held.let_go()
        held.held.one_step.release()
        assert texts(job) == list("abcdef")


def test_a_thread_is_rid_of_what_it_has_translated(held: Held) -> None:
    held.held.let_go()
    with batcher_of(held, threads=2, size=8) as batcher:
        assert submit(batcher, *"abcdef").done.result(SECONDS)
        assert submit(batcher, "g").done.result(SECONDS)
    assert [running.parts for running in batcher._running] == [0, 0]
    assert batcher._waiting_cost == batcher._waiting_parts == 0


def test_how_many_were_translated_together_is_told_with_the_time_that_it_took(held: Held) -> None:
    held.held.let_go()
    told: list[tuple[int, float]] = []
    with batcher_of(held, on_batch=lambda *batch: told.append(batch)) as batcher:
        assert submit(batcher, *"abc").done.result(SECONDS)
    assert {lines for lines, _ in told} == {3}
    assert all(seconds > 0 for _, seconds in told)


def test_it_is_ready_when_every_thread_has_its_model(held: Held) -> None:
    first_is_there, may_go_on, ready = threading.Event(), threading.Event(), threading.Event()
    loaded: list[int] = []

    def start() -> LocalWorker:
        loaded.append(1)
        if len(loaded) == 2:
            raise DataError("killed while it was loading")  # it is tried again
        if len(loaded) == 3:
            first_is_there.set()
            assert may_go_on.wait(SECONDS)
        return LocalWorker(held, MEMORY)

    with TranslationQueue(
        start, threads=2, size=3, max_waiting=8, on_batch=lambda lines, seconds: None, on_ready=ready.set
    ) as batcher:
        assert first_is_there.wait(SECONDS)
        assert not batcher.ready
        assert not ready.is_set()
        may_go_on.set()
        assert ready.wait(SECONDS)
        assert batcher.ready
