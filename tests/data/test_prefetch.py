"""Batches made ahead by a thread: the same ones in the same order, no more than agreed, and no thread left."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count, islice

import pytest
import torch

from kotrans.data.batching import Batch, Position
from kotrans.data.prefetch import AHEAD, Item, Prefetched
from kotrans.data.tokenizer import EOS
from kotrans.errors import DataError

CPU = torch.device("cpu")


def item(number: int) -> Item:
    return Position(0, number + 1), Batch.of([[number + 4, EOS]], [[number + 5, EOS]])


def ahead(stream: Iterator[Item]) -> "closing[Prefetched]":
    return closing(Prefetched(stream, CPU))


def numbers(items: Iterator[Item]) -> list[tuple[int, int]]:
    return [(position.batch, int(batch.source[0, 0])) for position, batch in items]


def batch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


class Watched:
    """An endless stream that says when it is asked for which item, and can be made to wait."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.gate = threading.Event()
        self.made = 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[Item]:
        for number in count():
            self.asked.release()
            self.gate.wait()
            self.made += 1
            self.threads.add(threading.get_ident())
            yield item(number)


def test_items_come_in_order_each_with_its_own_position() -> None:
    with ahead(item(number) for number in count()) as stream:
        assert numbers(islice(stream, 20)) == numbers(item(number) for number in range(20))


def test_batches_are_made_by_another_thread_and_never_more_than_agreed_ahead_of_their_use() -> None:
    watched = Watched()
    watched.gate.set()
    with ahead(iter(watched)) as stream:
        next(stream)
        for _ in range(AHEAD + 1):
            assert watched.asked.acquire(timeout=30)  # one used, AHEAD ready
        assert not watched.asked.acquire(timeout=0.2)
        assert watched.made == AHEAD + 1
    assert watched.threads.isdisjoint({threading.get_ident()})


def test_no_thread_is_left_when_the_caller_stops_in_the_middle_or_is_interrupted() -> None:
    with ahead(item(number) for number in count()) as stream:
        next(stream)
        assert len(batch_threads()) == 1
    assert batch_threads() == []
    with pytest.raises(KeyboardInterrupt), ahead(item(number) for number in count()):
        raise KeyboardInterrupt
    assert batch_threads() == []


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for_after_those_before_it() -> None:
    def broken() -> Iterator[Item]:
        yield item(0)
        yield item(1)
        raise DataError("ids.npy: damaged")

    with ahead(broken()) as stream:
        assert numbers(islice(stream, 2)) == numbers(iter([item(0), item(1)]))
        for _ in range(2):  # and again, instead of waiting for ever
            with pytest.raises(DataError, match="damaged"):
                next(stream)
    assert batch_threads() == []


def test_a_stream_that_ends_ends() -> None:
    with ahead(item(number) for number in range(AHEAD + 2)) as stream:
        assert len(list(stream)) == AHEAD + 2
        assert list(stream) == []


def test_only_the_time_without_a_batch_counts_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now, begun = [100.0], threading.Event()

    def clock() -> float:
        begun.set()  # `next` looks at the time before it waits
        return now[0]

    def slow_first() -> Iterator[Item]:
        begun.wait()
        now[0] += 7
        yield from map(item, count())

    monkeypatch.setattr("kotrans.data.prefetch.time.perf_counter", clock)
    with ahead(slow_first()) as stream:
        next(stream)
        assert stream.waited == 7
        now[0] += 5  # spent by the caller
        next(stream)
        assert stream.waited == 7


def test_batches_are_pinned_for_the_card_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread's own current card is the first one, whatever the caller has chosen."""
    asked: list[torch.device] = []

    @contextmanager
    def enter(device: torch.device) -> Iterator[None]:
        asked.append(device)
        yield

    main = threading.current_thread()
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3 if threading.current_thread() is main else 0)
    monkeypatch.setattr(torch.cuda, "device", enter)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    for device, expected in (("cuda", "cuda:3"), ("cuda:1", "cuda:1")):
        asked.clear()
        with closing(Prefetched((item(number) for number in count()), torch.device(device))) as stream:
            next(stream)
        assert set(asked) == {torch.device(expected)}
