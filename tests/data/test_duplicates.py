"""Duplicate rows are found by their hashes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kotrans.data.duplicates import keys_of, occurrences, repeated_rows

KEY = st.sampled_from([0, 1, 255, 2**56, 2**63, 2**64 - 1])


@given(st.lists(st.tuples(KEY, KEY), max_size=40))
def test_a_row_is_repeated_if_an_earlier_one_is_equal(rows: list[tuple[int, int]]) -> None:
    repeated = repeated_rows(np.array(rows, np.uint64).reshape(-1, 2))
    assert repeated.tolist() == [row in rows[:number] for number, row in enumerate(rows)]


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=10))
def test_keys_sort_as_their_bytes(digests: list[bytes]) -> None:
    assert np.sort(keys_of(digests, 1)[:, 0]).tolist() == [int.from_bytes(each) for each in sorted(digests)]


@given(st.lists(st.integers(0, 5)))
def test_earlier_equal_keys_are_counted(keys: list[int]) -> None:
    expected = [keys[:i].count(key) for i, key in enumerate(keys)]
    assert occurrences(np.array(keys, np.uint64)).tolist() == expected
