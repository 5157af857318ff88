"""The threads behind the service, with a translator that can be held up and made to fail."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from kotrans.assembly import Assembler, Part, Prepared, Translation
from kotrans.config.config import SearchConfig
from kotrans.errors import ModelError
from kotrans.search.trellis import Hypothesis
from kotrans.serve.batcher import Batcher, Full
from kotrans.serve.translating import Here
from kotrans.translate import BatchTranslator
from tests.search.small_models import VOCABULARY, TableStepper

_SECONDS = 30  # until a test gives up
_STEPS = 20  # of each sentence


class HeldStepper(TableStepper):
    """Says the same piece for ever, once it is let go; breaks at "broken"."""

    def __init__(self) -> None:
        table = torch.zeros(VOCABULARY, VOCABULARY)
        table[:, 4], table[:, 5] = 0.75, 0.25
        super().__init__(table)
        self.free = threading.Event()
        self.busy = threading.Event()
        self.joined: list[list[str]] = []  # the lines that joined together
        self.rows: list[int] = []  # of each step

    def start(self, source: Tensor, mask: Tensor) -> int:
        lines = ["".join(map(chr, row[real][:-1].tolist())) for row, real in zip(source, mask, strict=True)]
        self.joined.append(lines)
        if "broken" in lines:
            raise MemoryError
        return super().start(source, mask)

    def step(self, state: int, previous: Tensor) -> tuple[Tensor, int, Tensor | None]:
        self.busy.set()
        assert self.free.wait(_SECONDS)
        self.rows.append(state)
        logits, after, weights = super().step(state, previous)
        return logits.clone(), after, weights


class Held(BatchTranslator):
    """Translates into a Translation without hypotheses when it is let go; refuses "bad"."""

    def __init__(self) -> None:
        self.config = SearchConfig(
            beam=1, max_length_ratio=0, max_length_extra=_STEPS, max_repetitions=None, length_penalty=0
        )
        self.device = torch.device("cpu")
        self.stepper = self.held = HeldStepper()
        self.assembler = Unspelt()

    def prepare(self, lines: Sequence[str], first: int = 1) -> list[Prepared]:
        if "bad" in lines:
            raise ModelError(f"line {lines.index('bad') + first}: too long")
        return [
            Prepared(line, [Part([ord(letter) for letter in line], "")] if line else [], cut=False) for line in lines
        ]


class Unspelt(Assembler):
    """Makes a Translation without hypotheses."""

    def __init__(self) -> None:
        self._config = SearchConfig(verbatim_penalty=0)

    def assemble(self, prepared: Prepared, found: Sequence[Sequence[Hypothesis]], n_best: int) -> Translation:
        assert all(len(hypothesis.ids) == _STEPS for hypotheses in found for hypothesis in hypotheses)
        return Translation(prepared.line, (), (), len(found))


@pytest.fixture
def held() -> Held:
    return Held()


def batcher_of(
    held: Held,
    threads: int = 1,
    size: int = 3,
    on_batch: Callable[[int, float], None] = lambda sentences, seconds: None,
) -> Batcher:
    return Batcher(partial(Here, held), threads=threads, size=size, max_waiting=8, on_batch=on_batch)


@pytest.fixture
def batcher(held: Held) -> Iterator[Batcher]:
    with Batcher(
        partial(Here, held), threads=1, size=3, max_waiting=8, on_batch=lambda sentences, seconds: None
    ) as running:
        yield running
        held.held.free.set()


def hold(batcher: Batcher, held: Held) -> Any:
    """A job that keeps the thread busy, so that what comes next waits."""
    job = batcher.submit(["first"], 1, 1)
    assert held.held.busy.wait(_SECONDS)
    return job


def sources(job: Any) -> list[str]:
    return [each.source for each in job.done.result(_SECONDS)]


def test_what_comes_during_a_search_joins_it_in_its_order_as_far_as_there_is_room(batcher: Batcher, held: Held) -> None:
    first = hold(batcher, held)
    jobs = [batcher.submit(list(lines), 1, 1) for lines in ("a", "bc", "d")]
    held.held.free.set()
    assert [sources(job) for job in (first, *jobs)] == [["first"], ["a"], ["b", "c"], ["d"]]
    assert held.held.joined[:2] == [["first"], ["a", "b"]]  # a batch of three is full
    assert [line for lines in held.held.joined for line in lines] == ["first", *"abcd"]
    assert max(held.held.rows) == 3
    assert sum(held.held.rows) == 5 * _STEPS  # none stayed longer than its own translation took


def test_sentences_of_any_beam_are_searched_together(batcher: Batcher, held: Held) -> None:
    hold(batcher, held)
    jobs = [batcher.submit([line], beam, n_best) for line, beam, n_best in [("a", 2, 1), ("b", 3, 2)]]
    held.held.free.set()
    assert [sources(job) for job in jobs] == [["a"], ["b"]]
    assert max(held.held.rows) == 1 + 2 + 3


def test_a_blank_sentence_is_answered_without_a_search(batcher: Batcher, held: Held) -> None:
    assert sources(batcher.submit(["", ""], 1, 1)) == ["", ""]
    assert not held.held.joined


def test_what_is_taken_back_is_not_translated_and_leaves_its_place(batcher: Batcher, held: Held) -> None:
    hold(batcher, held)
    gone = batcher.submit(["gone"] * 8, 1, 1)
    with pytest.raises(Full, match="8 sentences are waiting"):
        batcher.submit(["one more"], 1, 1)
    gone.done.cancel()
    kept = batcher.submit(["kept"], 1, 1)
    held.held.free.set()
    assert kept.done.result(_SECONDS)
    assert held.held.joined == [["first"], ["kept"]]


def test_taking_back_what_is_being_translated_harms_nobody(batcher: Batcher, held: Held) -> None:
    gone = hold(batcher, held)
    other = batcher.submit(["other"], 1, 1)
    gone.done.cancel()
    held.held.free.set()
    assert sources(other) == ["other"]
    with pytest.raises(CancelledError):
        gone.done.result()
    assert sources(batcher.submit(["next"], 1, 1)) == ["next"]


def test_a_sentence_that_the_model_refuses_fails_alone_and_is_named_by_its_place(batcher: Batcher, held: Held) -> None:
    hold(batcher, held)
    good, bad = batcher.submit(["good"], 1, 1), batcher.submit(["fine", "bad"], 1, 1)
    held.held.free.set()
    assert sources(good) == ["good"]
    with pytest.raises(ModelError, match=r"^sentence 2: too long$"):
        bad.done.result(_SECONDS)


def test_a_fault_is_told_to_those_who_wait_and_the_thread_goes_on(batcher: Batcher, held: Held) -> None:
    first = hold(batcher, held)
    broken = batcher.submit(["broken"], 1, 1)
    held.held.free.set()
    for job in (first, broken):
        with pytest.raises(MemoryError):
            job.done.result(_SECONDS)
    assert sources(batcher.submit(["next"], 1, 1)) == ["next"]


def test_leaving_translates_all_that_waits_and_takes_no_more(held: Held) -> None:
    held.held.free.set()
    with Batcher(
        partial(Here, held), threads=1, size=3, max_waiting=8, on_batch=lambda sentences, seconds: None
    ) as batcher:
        job = batcher.submit(list("abcde"), 1, 1)
    assert len(job.done.result(0)) == 5
    with pytest.raises(Full, match="about to stop"):
        batcher.submit(["late"], 1, 1)


def test_threads_take_equal_parts_and_none_waits_for_another(held: Held) -> None:
    with batcher_of(held, threads=2, size=8) as batcher:
        job = batcher.submit(list("abcdef"), 1, 1)
        until = time.monotonic() + _SECONDS
        while len(held.held.joined) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert sorted(held.held.joined) == [["a", "b", "c"], ["d", "e", "f"]]
        held.held.free.set()
        assert sources(job) == list("abcdef")


def test_threads_take_equal_parts_again_when_the_first_are_done(held: Held) -> None:
    held.held.free.set()
    with batcher_of(held, threads=2, size=8) as batcher:
        assert batcher.submit(list("abcdef"), 1, 1).done.result(_SECONDS)
        assert batcher._taken == 0


def test_how_many_were_translated_together_is_told_with_the_time_that_it_took(held: Held) -> None:
    held.held.free.set()
    told: list[tuple[int, float]] = []
    with Batcher(
        partial(Here, held), threads=1, size=3, max_waiting=8, on_batch=lambda *batch: told.append(batch)
    ) as batcher:
        assert batcher.submit(list("abc"), 1, 1).done.result(_SECONDS)
    assert {sentences for sentences, _ in told} == {3}
    assert all(seconds > 0 for _, seconds in told)
