"""Prefetching keeps the order of batches, respects its limit, and ends its thread."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count, islice

import pytest
import torch

from kotrans.data.batching import Batch
from kotrans.data.dataset import Position
from kotrans.data.prefetch import AHEAD, Item, Prefetched
from kotrans.data.tokenizer import EOS
from kotrans.errors import DataError

pytestmark = pytest.mark.e2e

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
    """An endless stream that records requests and can be blocked."""

    def __init__(self) -> None:
        self.requested = threading.Semaphore(0)
        self.gate = threading.Event()
        self.made = 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[Item]:
        for number in count():
            self.requested.release()
            self.gate.wait()
            self.made += 1
            self.threads.add(threading.get_ident())
            yield item(number)


def test_items_are_yielded_in_order_with_their_positions() -> None:
    with ahead(item(number) for number in count()) as stream:
        assert numbers(islice(stream, 20)) == numbers(item(number) for number in range(20))


def test_another_thread_prepares_batches_up_to_the_limit() -> None:
    watched = Watched()
    watched.gate.set()
    with ahead(iter(watched)) as stream:
        next(stream)
        for _ in range(AHEAD + 1):
            assert watched.requested.acquire(timeout=30)  # one used, AHEAD ready
        assert not watched.requested.acquire(timeout=0.2)
        assert watched.made == AHEAD + 1
    assert watched.threads.isdisjoint({threading.get_ident()})


def test_no_thread_remains_after_an_early_stop_or_interrupt() -> None:
    with ahead(item(number) for number in count()) as stream:
        next(stream)
        assert len(batch_threads()) == 1
    assert batch_threads() == []
    with pytest.raises(KeyboardInterrupt), ahead(item(number) for number in count()):
        raise KeyboardInterrupt
    assert batch_threads() == []


def test_an_error_in_the_thread_is_raised_after_the_earlier_batches() -> None:
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


def test_the_end_of_the_stream_is_reported() -> None:
    with ahead(item(number) for number in range(AHEAD + 2)) as stream:
        assert len(list(stream)) == AHEAD + 2
        assert list(stream) == []


def test_only_time_without_a_ready_batch_counts_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_batches_are_pinned_for_the_device_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The current device of a new thread is device 0, regardless of the caller's."""
    requested: list[torch.device] = []

    @contextmanager
    def enter(device: torch.device) -> Iterator[None]:
        requested.append(device)
        yield

    main = threading.current_thread()
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3 if threading.current_thread() is main else 0)
    monkeypatch.setattr(torch.cuda, "device", enter)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    for device, expected in (("cuda", "cuda:3"), ("cuda:1", "cuda:1")):
        requested.clear()
        with closing(Prefetched((item(number) for number in count()), torch.device(device))) as stream:
            next(stream)
        assert set(requested) == {torch.device(expected)}
