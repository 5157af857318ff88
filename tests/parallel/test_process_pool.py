"""The ordered map over processes returns results in order and leaves no process behind."""

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kotrans.errors import DataError
from kotrans.parallel.process_pool import ordered_map

pytestmark = pytest.mark.e2e


def uneven(part: int) -> tuple[int, int]:
    """Takes longer for earlier parts, so that parts finish out of order."""
    time.sleep(0.3 / (1 + part))
    return part, os.getpid()


def refuse(part: int) -> int:
    if part == 3:
        raise DataError("part 3: is invalid")
    return part


def die(part: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return part


def fail(part: int) -> float:
    return 1 / part


def test_results_are_in_the_order_of_the_parts_and_few_parts_are_read_ahead() -> None:
    taken: list[int] = []

    def parts() -> Iterator[int]:
        for part in range(20):
            taken.append(part)
            yield part

    processes = set()
    for number, (part, process) in enumerate(ordered_map(uneven, parts(), processes=2)):
        assert part == number
        assert len(taken) <= number + 4
        processes.add(process)
    assert len(taken) == 20
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("parts", "processes"), [(0, 2), (2, 2), (20, 1)])
def test_few_parts_or_one_process_run_in_the_calling_process(parts: int, processes: int) -> None:
    results = list(ordered_map(lambda part: (part, os.getpid()), range(parts), processes))  # a lambda is not pickled
    assert results == [(part, os.getpid()) for part in range(parts)]


def test_an_error_in_a_process_is_raised_unchanged_and_ends_all_processes() -> None:
    with pytest.raises(DataError, match=r"^part 3: is invalid$"):
        list(ordered_map(refuse, range(20), processes=2))
    assert not multiprocessing.active_children()


def test_closing_the_iterator_ends_all_processes() -> None:
    results = ordered_map(partial(operator.add, 1), range(20), processes=2)
    assert next(results) == 1
    results.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("size", [1, 10_000_000])
def test_a_killed_process_is_reported_even_while_a_large_part_is_sent(size: int) -> None:
    with pytest.raises(DataError, match="a process that was preparing data was killed; free some memory"):
        list(ordered_map(die, [bytes(size)] * 20, processes=2))
    assert not multiprocessing.active_children()


def test_an_unexpected_error_keeps_the_traceback_of_the_process() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(ordered_map(fail, [1, 0, 1], processes=2))
    assert "in fail\n    return 1 / part" in "".join(caught.value.__notes__)


def test_a_script_without_a_main_guard_ends_with_a_remedy(tmp_path: Path) -> None:
    """Each process imports the script, and fails to start processes itself before it has received any work."""
    script = tmp_path / "unguarded.py"
    script.write_text("""
import operator
from functools import partial
from kotrans.parallel.process_pool import ordered_map

list(ordered_map(partial(operator.contains, bytes(5_000_000)), range(20), processes=2))
""")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "kotrans.errors.DataError: a process for preparing data failed to start (see its message); "
        'in a script of your own, call kotrans under `if __name__ == "__main__":`'
    )


def test_processes_end_with_a_parent_that_is_killed() -> None:
    script = """
import multiprocessing, time
from kotrans.parallel.process_pool import ordered_map

if __name__ == "__main__":
    for _ in ordered_map(time.sleep, [0, 0, 0, *[1] * 999], processes=2):
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert children
    while any(map(is_running, children)):
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
