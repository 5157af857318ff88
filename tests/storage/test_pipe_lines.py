"""Lines of a pipe arrive in order and without waiting for the next line."""

from collections.abc import Iterator
from queue import Queue
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.errors import DataError
from kotrans.storage.pipe_lines import ArrivingLines


def queued(queue: "Queue[str | None]") -> Iterator[str]:
    """Yields lines as another program would send them."""
    while (line := queue.get()) is not None:
        yield line


@given(st.lists(st.text(max_size=3), max_size=40), st.integers(1, 7))
def test_every_line_arrives_once_and_in_order_in_chunks_of_limited_size(lines: list[str], most: int) -> None:
    chunks = list(ArrivingLines(iter(lines)).chunks(most))
    assert [line for chunk in chunks for line in chunk] == lines
    assert all(0 < len(chunk) <= most for chunk in chunks)


def test_a_line_is_returned_before_the_next_one_arrives() -> None:
    queue: Queue[str | None] = Queue()
    chunks = ArrivingLines(queued(queue)).chunks(10)
    for line in ("one", "two", "three"):
        queue.put(line)
        assert next(chunks) == [line]
    queue.put(None)
    assert list(chunks) == []


def test_lines_that_have_arrived_in_the_meantime_are_one_chunk() -> None:
    read = Event()

    def lines() -> Iterator[str]:
        yield from map(str, range(25))
        read.set()

    chunks = ArrivingLines(lines()).chunks(10)
    assert read.wait(60)
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]


def test_at_most_two_chunks_are_read_ahead() -> None:
    taken: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(1)
            yield "line"

    chunks = ArrivingLines(endless()).chunks(2000)
    for number in range(1, 6):
        next(chunks)
        assert len(taken) <= 2000 * (number + 2) + 1


def test_an_error_of_the_input_is_raised_after_the_lines_before_it() -> None:
    def damaged() -> Iterator[str]:
        yield from ("a", "b")
        raise DataError("standard input:3: not UTF-8 text")

    chunks, found = ArrivingLines(damaged()).chunks(1), list[str]()
    with pytest.raises(DataError, match="standard input:3"):
        found.extend(line for chunk in chunks for line in chunk)
    assert found == ["a", "b"]
