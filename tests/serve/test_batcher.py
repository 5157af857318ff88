"""The threads behind the service, with a translator that can be held up and made to fail."""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from kotrans.config.config import SearchConfig
from kotrans.errors import ModelError
from kotrans.serve.batcher import Batcher, Full
from kotrans.translate import BatchTranslator, Translation

_SECONDS = 30  # until a test gives up


class Held(BatchTranslator):
    """Translates into a Translation without hypotheses when it is let go; refuses "bad", and breaks at "broken"."""

    def __init__(self) -> None:
        self.config = SearchConfig(batch=3)
        self.free = threading.Event()
        self.busy = threading.Event()
        self.batches: list[tuple[int, int, list[str]]] = []

    def translate(self, lines: Iterable[str], n_best: int = 1, *, first: int = 1) -> Iterator[Translation]:
        lines = list(lines)
        self.batches.append((self.config.beam, n_best, lines))
        self.busy.set()
        assert self.free.wait(_SECONDS)
        if "bad" in lines:
            raise ModelError(f"line {lines.index('bad') + 1}: too long")
        if "broken" in lines:
            raise MemoryError
        return iter([Translation(line, (), (), 0) for line in lines])


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def batcher(held: Held) -> Iterator[Batcher]:
    with Batcher(held, gather_seconds=0, max_waiting=8, on_batch=lambda sentences, seconds: None) as running:
        yield running
        held.free.set()


def hold(batcher: Batcher, held: Held) -> Any:
    """A job that keeps the thread busy, so that what comes next waits."""
    job = batcher.submit(["first"], 1, 1)
    assert held.busy.wait(_SECONDS)
    return job


def test_what_waits_is_batched_by_beam_and_n_best_and_in_its_order(batcher: Batcher, held: Held) -> None:
    hold(batcher, held)
    jobs = [
        batcher.submit(list(lines), beam, n_best)
        for lines, beam, n_best in [("ab", 2, 1), ("c", 3, 1), ("de", 2, 1), ("f", 2, 2)]
    ]
    held.free.set()
    assert ["".join(each.source for each in job.done.result(_SECONDS)) for job in jobs] == ["ab", "c", "de", "f"]
    assert held.batches[1:] == [(2, 1, ["a", "b", "d"]), (3, 1, ["c"]), (2, 1, ["e"]), (2, 2, ["f"])]


def test_sentences_that_come_one_after_another_are_waited_for_until_a_batch_is_full(held: Held) -> None:
    held.free.set()
    with Batcher(held, gather_seconds=_SECONDS, max_waiting=8, on_batch=lambda sentences, seconds: None) as batcher:
        jobs = [batcher.submit([line], 1, 1) for line in "abc"]
        assert all(job.done.result(_SECONDS) for job in jobs)
        assert held.batches == [(1, 1, ["a", "b", "c"])]


def test_what_is_taken_back_is_not_translated_and_leaves_its_place(batcher: Batcher, held: Held) -> None:
    hold(batcher, held)
    gone = batcher.submit(["gone"] * 8, 1, 1)
    with pytest.raises(Full, match="8 sentences are waiting"):
        batcher.submit(["one more"], 1, 1)
    gone.done.cancel()
    kept = batcher.submit(["kept"], 1, 1)
    held.free.set()
    assert kept.done.result(_SECONDS)
    assert [lines for _, _, lines in held.batches] == [["first"], ["kept"]]


def test_taking_back_what_is_being_translated_harms_nobody(held: Held) -> None:
    with Batcher(held, gather_seconds=_SECONDS, max_waiting=8, on_batch=lambda sentences, seconds: None) as batcher:
        gone, *others = (batcher.submit([line], 1, 1) for line in "abc")
        assert held.busy.wait(_SECONDS)
        gone.done.cancel()
        held.free.set()
        assert [job.done.result(_SECONDS)[0].source for job in others] == ["b", "c"]
    assert held.batches == [(1, 1, ["a", "b", "c"])]
    with pytest.raises(CancelledError):
        gone.done.result()


def test_a_sentence_that_the_model_refuses_fails_alone_and_is_named_by_its_place(batcher: Batcher, held: Held) -> None:
    hold(batcher, held)
    good, bad = batcher.submit(["good"], 1, 1), batcher.submit(["fine", "bad"], 1, 1)
    held.free.set()
    assert good.done.result(_SECONDS)[0].source == "good"
    with pytest.raises(ModelError, match=r"^sentence 2: too long$"):
        bad.done.result(_SECONDS)


def test_a_fault_is_told_to_those_who_wait_and_the_thread_goes_on(batcher: Batcher, held: Held) -> None:
    held.free.set()
    with pytest.raises(MemoryError):
        batcher.submit(["broken"], 1, 1).done.result(_SECONDS)
    assert batcher.submit(["next"], 1, 1).done.result(_SECONDS)


def test_leaving_translates_all_that_waits_and_takes_no_more(held: Held) -> None:
    held.free.set()
    with Batcher(held, gather_seconds=5, max_waiting=8, on_batch=lambda sentences, seconds: None) as batcher:
        job = batcher.submit(["a", "b"], 1, 1)
    assert len(job.done.result(0)) == 2
    with pytest.raises(Full, match="about to stop"):
        batcher.submit(["late"], 1, 1)


def test_threads_take_equal_parts_and_none_waits_for_another(held: Held) -> None:
    held.config = SearchConfig(batch=8)
    with Batcher(held, threads=2, gather_seconds=0.5, max_waiting=8, on_batch=lambda *_: None) as batcher:
        jobs = [batcher.submit([line], 1, 1) for line in "abcdef"]
        until = time.monotonic() + _SECONDS
        while len(held.batches) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert [lines for _, _, lines in held.batches] == [["a", "b", "c"], ["d", "e", "f"]]
        held.free.set()
        assert all(job.done.result(_SECONDS) for job in jobs)


def test_a_thread_waits_for_as_many_as_it_has_answered_and_no_more(held: Held) -> None:
    held.free.set()
    with Batcher(held, gather_seconds=0.5, max_waiting=8, on_batch=lambda *_: None) as batcher:
        assert batcher.submit(["a", "b"], 1, 1).done.result(_SECONDS)  # after half a second: it could have been three
        batcher._gather_seconds = 2 * _SECONDS
        jobs = [batcher.submit([line], 1, 1) for line in "cd"]
        assert all(job.done.result(_SECONDS) for job in jobs)
    assert [lines for _, _, lines in held.batches] == [["a", "b"], ["c", "d"]]
