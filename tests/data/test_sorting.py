"""What does not fit into memory is sorted and compared as if it did."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.data.duplicates import Duplicates, Sorter

KEY = st.sampled_from([0, 1, 255, 2**56, 2**63, 2**64 - 1])
RECORD = [("key", "<u8"), ("rest", "<u8"), ("row", "<i8")]


@given(st.lists(st.lists(st.tuples(KEY, KEY), max_size=6), max_size=6), st.integers(0, 40))
def test_records_are_sorted_by_all_their_fields_whatever_fits_into_memory(
    parts: list[list[tuple[int, int]]], in_memory: int
) -> None:
    with TemporaryDirectory() as folder:
        sorters = [Sorter(Path(folder) / name, RECORD, in_memory) for name in ("parts", "array")]
        rows = 0
        for part in parts:
            keys = np.array(part, np.uint64).reshape(-1, 2)
            for sorter in sorters:
                sorter.add(keys[:, 0], keys[:, 1], np.arange(rows, rows + len(part)))
            rows += len(part)
        expected = sorted((key, rest, row) for row, (key, rest) in enumerate(pair for part in parts for pair in part))
        sorted_parts = list(sorters[0].sorted())
        assert [tuple(record) for part in sorted_parts for record in part.tolist()] == expected
        assert [tuple(record) for record in sorters[1].array().tolist()] == expected
        assert len([part for part in sorted_parts if 1 in part["key"]]) <= 1


@given(st.lists(st.lists(st.tuples(KEY, KEY), max_size=6), max_size=6), st.integers(0, 40))
def test_a_row_is_a_duplicate_if_an_earlier_one_is_equal(parts: list[list[tuple[int, int]]], in_memory: int) -> None:
    with TemporaryDirectory() as folder:
        duplicates = Duplicates(Path(folder) / "spilled", in_memory)
        for part in parts:
            duplicates.add(np.array(part, np.uint64).reshape(-1, 2))
        rows = [row for part in parts for row in part]
        assert duplicates.found().tolist() == [row in rows[:number] for number, row in enumerate(rows)]


def test_what_is_too_much_for_memory_lies_in_files_and_nothing_else_does(tmp_path: Path) -> None:
    for in_memory, spilled in ((1000, False), (999, True)):
        sorter = Sorter(tmp_path / str(in_memory), RECORD, in_memory)
        keys = np.random.default_rng(1).integers(0, 2**63, 1000).astype(np.uint64)
        sorter.add(keys, keys, keys)
        assert (tmp_path / str(in_memory)).exists() == spilled


@pytest.mark.parametrize("in_memory", [0, 10])
def test_nothing_sorted_is_nothing(in_memory: int, tmp_path: Path) -> None:
    sorter = Sorter(tmp_path / "sorter", RECORD, in_memory)
    assert [len(part) for part in sorter.sorted()] == [0]
    assert len(sorter.array()) == 0
