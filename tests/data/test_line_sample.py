"""A reproducible sample of the text."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.data.subword_training import LineSample
from kotrans.errors import DataError
from kotrans.storage.files import write_lines

NO_LIMIT = 10**9


def numbered(folder: Path, count: int) -> Path:
    write_lines(folder / "lines", [str(number) for number in range(count)])
    return folder / "lines"


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**31))
def test_a_sample_keeps_the_order_and_has_the_maximum_size_without_repetition(
    count: int, most: int, part: int, seed: int
) -> None:
    with TemporaryDirectory() as folder:
        sample = LineSample(numbered(Path(folder), count), most, NO_LIMIT, seed, part)
        numbers = [int(line) for line in sample]
        assert numbers == sorted(set(numbers)) == [int(line) for line in sample]
        assert len(numbers) == sample.lines == min(count, most)


def test_every_line_has_the_same_probability(tmp_path: Path) -> None:
    path = numbered(tmp_path, 20)
    drawn = [int(line) for seed in range(2000) for line in LineSample(path, 5, NO_LIMIT, seed, part=7)]
    # 500 ± 19 each: six standard deviations.
    assert all(385 < count < 615 for count in np.bincount(drawn))


def test_the_number_of_bytes_limits_the_sample(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", ["twenty bytes a line"] * 50)
    assert len(list(LineSample(tmp_path / "lines", NO_LIMIT, 500, seed=1))) == 25


def test_lines_are_normalized_and_blank_ones_skipped(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", [" ", " a\u200b  b", "", "c"])
    sample = LineSample(tmp_path / "lines", NO_LIMIT, NO_LIMIT, seed=1)
    assert list(sample) == sample.measured == ["a b", "c"]
    assert sample.lines == 2
    write_lines(tmp_path / "blank", [" ", "\u200b"])
    with pytest.raises(DataError, match="blank: no text to train a tokenizer on"):
        LineSample(tmp_path / "blank", NO_LIMIT, NO_LIMIT, seed=1)
