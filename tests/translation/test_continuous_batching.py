"""Continuous batching: order of lines, number of rows, memory, and cancelled lines."""

import pytest

from kotrans.search.memory_bound import SearchMemory
from kotrans.translation.continuous_batching import ContinuousTranslator, SearchRequest
from tests.held_translator import STEPS, Held, prepared

MEMORY = 100_000_000


def released(**arguments: int) -> Held:
    held = Held(**arguments)
    held.held.let_go()
    return held


@pytest.mark.slow
def test_no_more_rows_run_than_a_batch_has_however_many_parts_a_line_has() -> None:
    held = released(batch=4, beam=2)
    running = ContinuousTranslator(held, MEMORY)
    running.add([SearchRequest(key, prepared("a " * 300), 8 if key else 2, 1) for key in range(3)])
    answers = []
    while running.parts:
        answers += running.step(100)
    assert len(answers) == 3
    assert max(held.held.rows) <= 4 * 2
    assert sum(map(len, held.held.joined)) == 900


def test_groups_take_turns_and_a_group_without_running_parts_starts_at_once() -> None:
    held = released(batch=4)
    running = ContinuousTranslator(held, MEMORY)
    running.add([SearchRequest(0, prepared("a " * 40), 1, 1, group=0)])
    running.step(3)
    running.add([SearchRequest(1, prepared("b"), 1, 1, group=1)])
    running.add([SearchRequest(2, prepared("c " * 40), 1, 1, group=2)])
    done = [key for _ in range(STEPS) for key, _ in running.step(1)]
    assert done == [1]  # in as many steps as it needs, although 76 parts waited before it
    assert max(held.held.rows) == 6
    joined = "".join("".join(parts) for parts in held.held.joined)
    assert joined.startswith("aaaabc")
    while running.parts:
        running.step(100)
    order = "".join("".join(parts) for parts in held.held.joined)[6:]
    assert "aaaa" not in order[:60]  # the others take turns
    assert max(held.held.rows) == 6


def test_dropped_lines_leave_the_search_and_the_others_continue() -> None:
    held = released(batch=8)
    running = ContinuousTranslator(held, MEMORY)
    running.add([SearchRequest(0, prepared("a b c"), 1, 1), SearchRequest(1, prepared("x " * 30), 1, 1, group=1)])
    assert running.step(2) == []
    running.drop([1, 7])
    assert [key for key, _ in running.step(STEPS)] == [0]
    assert held.held.rows[1:4] == [8, 3, 3]
    running.drop([0])
    running.add([SearchRequest(2, prepared("d"), 1, 1)])
    running.drop([2])
    assert running.parts == 0
    assert running.step(5) == []
    running.add([SearchRequest(3, prepared("e"), 1, 1)])
    assert [key for key, _ in running.step(STEPS)] == [3]


def test_an_interrupt_ends_a_call_after_its_step() -> None:
    held = released()
    running = ContinuousTranslator(held, MEMORY)
    running.add([SearchRequest(0, prepared("a"), 1, 1)])
    running.step(100, lambda: True)
    assert len(held.held.rows) == 1


def test_lines_wait_while_earlier_ones_can_fill_the_memory() -> None:
    held = released()
    of_line = SearchMemory(MEMORY, 1, held.config).finished([2] * 10, 1)
    running = ContinuousTranslator(held, 5 * of_line)  # half of it is for finished parts: two lines
    running.add([SearchRequest(key, prepared("a " * 10), 1, 1, group=key) for key in range(5)])
    done = []
    while running.parts:
        done += running.step(1)
    assert len(done) == 5
    assert max(held.held.rows) <= 20


def test_a_line_that_needs_all_memory_is_translated_alone() -> None:
    held = released()
    running = ContinuousTranslator(held, 1)
    running.add([SearchRequest(key, prepared("a b c"), 1, 1, group=key) for key in range(2)])
    done = []
    while running.parts:
        done += running.step(1)
    assert [key for key, _ in done] == [0, 1]
    assert max(held.held.rows) == 1
