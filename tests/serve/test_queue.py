"""The queue and its threads, with a translator that can be paused and made to fail."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import partial

import pytest

from kotrans.errors import DataError
from kotrans.serve.queue import Job, QueueFull, TranslationQueue
from kotrans.serve.worker import LocalWorker
from tests.held_translator import SECONDS, STEPS, Held, prepared

MEMORY = 100_000_000


@pytest.fixture
def held() -> Held:
    return Held()


def queue_of(
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
def queue(held: Held) -> Iterator[TranslationQueue]:
    with queue_of(held) as running:
        yield running
        held.held.let_go()


def submit(queue: TranslationQueue, *lines: str, beam: int = 1, n_best: int = 1) -> Job:
    return queue.submit([prepared(line) for line in lines], beam, n_best)


def hold(queue: TranslationQueue, held: Held) -> Job:
    """Returns a job that keeps the thread busy, so that the next ones wait."""
    job = submit(queue, "first")
    assert held.held.busy.wait(SECONDS)
    return job


def texts(job: Job) -> list[str]:
    return [line.hypotheses[0].text for line in job.done.result(SECONDS)]


def test_requests_take_turns_and_one_with_nothing_running_joins_a_full_batch(
    queue: TranslationQueue, held: Held
) -> None:
    first = hold(queue, held)
    jobs = [submit(queue, *lines) for lines in ("a", "bc", "d")]
    held.held.let_go()
    assert [texts(job) for job in (first, *jobs)] == [["first"], ["a"], ["b", "c"], ["d"]]
    assert held.held.joined == [["first"], ["a", "b", "d"], ["c"]]  # a batch of three is full
    assert max(held.held.rows) == 4
    assert sum(held.held.rows) == 5 * STEPS  # no part ran longer than its own translation


def test_a_short_request_finishes_before_a_long_one_that_was_submitted_first(held: Held) -> None:
    with queue_of(held, max_waiting=1000) as queue:
        hold(queue, held)
        long = submit(queue, *["a b c d e f g h"] * 50)
        short = submit(queue, "s")
        unfinished: list[bool] = []
        short.done.add_done_callback(lambda done: unfinished.append(not long.done.done()))
        held.held.let_go()
        assert len(texts(long)) == 50
    assert unfinished == [True]
    parts = [part for joined in held.held.joined for part in joined]
    assert parts.index("s") < 40  # of 400


def test_lines_with_different_beams_share_a_batch(queue: TranslationQueue, held: Held) -> None:
    hold(queue, held)
    jobs = [submit(queue, line, beam=beam, n_best=n_best) for line, beam, n_best in [("a", 2, 1), ("b", 3, 2)]]
    held.held.let_go()
    assert [texts(job) for job in jobs] == [["a"], ["b"]]
    assert max(held.held.rows) == 1 + 2 + 3


def test_a_blank_line_needs_no_search(queue: TranslationQueue, held: Held) -> None:
    assert texts(submit(queue, "", "")) == ["", ""]
    assert not held.held.joined


def test_the_queue_limit_counts_parts_times_beam(queue: TranslationQueue, held: Held) -> None:
    hold(queue, held)
    submit(queue, "a b", beam=2)
    submit(queue, "c d", beam=1)
    with pytest.raises(QueueFull, match="2 lines are waiting"):
        submit(queue, "e", beam=3)
    submit(queue, "e", beam=2)


def test_a_cancelled_waiting_job_is_not_translated_and_frees_its_place(queue: TranslationQueue, held: Held) -> None:
    hold(queue, held)
    cancelled = submit(queue, *["cancelled"] * 8)
    with pytest.raises(QueueFull, match="8 lines are waiting"):
        submit(queue, "one-more")
    cancelled.done.cancel()
    kept = submit(queue, "kept")
    held.held.let_go()
    assert texts(kept) == ["kept"]
    assert held.held.joined == [["first"], ["kept"]]


def test_a_cancelled_running_job_ends_within_one_step(queue: TranslationQueue, held: Held) -> None:
    cancelled = hold(queue, held)
    other = submit(queue, "other")
    cancelled.done.cancel()
    held.held.one_step.release()  # the current step
    held.held.let_go()
    assert texts(other) == ["other"]
    with pytest.raises(CancelledError):
        cancelled.done.result()
    assert len(held.held.rows) == 1 + STEPS
    assert set(held.held.rows) == {1}  # the first had left before the other joined


def test_out_of_memory_fails_the_running_jobs_and_the_thread_continues(queue: TranslationQueue, held: Held) -> None:
    first = hold(queue, held)
    broken = submit(queue, "broken")
    held.held.let_go()
    for job in (first, broken):
        with pytest.raises(MemoryError):
            job.done.result(SECONDS)
    assert texts(submit(queue, "next")) == ["next"]


def test_closing_finishes_all_waiting_jobs_and_refuses_new_ones(held: Held) -> None:
    held.held.let_go()
    with queue_of(held) as queue:
        job = submit(queue, *"abcde")
    assert len(job.done.result(0)) == 5
    with pytest.raises(QueueFull, match="shutting down"):
        submit(queue, "late")


def test_threads_take_equal_shares_and_do_not_wait_for_each_other(held: Held) -> None:
    with queue_of(held, threads=2, size=8) as queue:
        job = submit(queue, *"abcdef")
        until = time.monotonic() + SECONDS
        while len(held.held.joined) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert sorted(held.held.joined) == [["a", "b", "c"], ["d", "e", "f"]]
        held.held.let_go()
        held.held.one_step.release()
        assert texts(job) == list("abcdef")


def test_counters_return_to_zero_after_all_jobs(held: Held) -> None:
    held.held.let_go()
    with queue_of(held, threads=2, size=8) as queue:
        assert submit(queue, *"abcdef").done.result(SECONDS)
        assert submit(queue, "g").done.result(SECONDS)
    assert [batch.parts for batch in queue._batches] == [0, 0]
    assert queue._waiting_cost == queue._waiting_parts == 0


def test_on_batch_gets_the_number_of_lines_and_the_seconds(held: Held) -> None:
    held.held.let_go()
    batches: list[tuple[int, float]] = []
    with queue_of(held, on_batch=lambda *batch: batches.append(batch)) as queue:
        assert submit(queue, *"abc").done.result(SECONDS)
    assert {lines for lines, _ in batches} == {3}
    assert all(seconds > 0 for _, seconds in batches)


def test_the_queue_is_ready_when_every_thread_has_loaded_the_model(held: Held) -> None:
    first_loaded, may_continue, ready = threading.Event(), threading.Event(), threading.Event()
    loaded: list[int] = []

    def start() -> LocalWorker:
        loaded.append(1)
        if len(loaded) == 2:
            raise DataError("killed while loading")  # the queue tries again
        if len(loaded) == 3:
            first_loaded.set()
            assert may_continue.wait(SECONDS)
        return LocalWorker(held, MEMORY)

    with TranslationQueue(
        start, threads=2, size=3, max_waiting=8, on_batch=lambda lines, seconds: None, on_ready=ready.set
    ) as queue:
        assert first_loaded.wait(SECONDS)
        assert not queue.ready
        assert not ready.is_set()
        may_continue.set()
        assert ready.wait(SECONDS)
        assert queue.ready
