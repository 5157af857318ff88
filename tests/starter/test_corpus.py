"""The committed starter corpus: reproducible, well formed, with disjoint splits."""

import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

STARTER = Path(__file__).resolve().parents[2] / "data" / "starter"
SPLITS = ("train", "dev", "test", "long")
KOREAN_LINE = re.compile(r"[가-힣0-9 ,.?]+")
ENGLISH_LINE = re.compile(r"[A-Za-z0-9 .,?'-]+")


def lines(split: str, side: str) -> list[str]:
    return (STARTER / f"{split}.{side}").read_text(encoding="utf-8").splitlines()


def words(line: str) -> list[str]:
    return [word.strip(".,?").lower() for word in line.split()]


def test_the_command_writes_the_committed_files_again(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, STARTER / "make.py", tmp_path], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["split", *SPLITS]
    for split in SPLITS:
        for side in ("ko", "en"):
            name = f"{split}.{side}"
            assert (tmp_path / name).read_bytes() == (STARTER / name).read_bytes(), name


@pytest.mark.parametrize(("split", "least"), [("train", 12_000), ("dev", 500), ("test", 500), ("long", 500)])
def test_each_split_has_enough_pairs(split: str, least: int) -> None:
    assert len(lines(split, "ko")) == len(lines(split, "en")) >= least


@pytest.mark.parametrize("side", ["ko", "en"])
def test_no_line_of_one_split_occurs_in_another(side: str) -> None:
    once = [line for split in SPLITS for line in set(lines(split, side))]
    assert len(once) == len(set(once))


def test_only_english_of_train_occurs_twice_in_a_split() -> None:
    for split, side in ((split, side) for split in SPLITS for side in ("ko", "en")):
        if (split, side) != ("train", "en"):
            assert len(lines(split, side)) == len(set(lines(split, side))), (split, side)


@pytest.mark.parametrize("split", SPLITS)
def test_lines_are_composed_text_of_their_language(split: str) -> None:
    for side, allowed in (("ko", KOREAN_LINE), ("en", ENGLISH_LINE)):
        for line in lines(split, side):
            assert allowed.fullmatch(line), line
            assert unicodedata.is_normalized("NFC", line)
            assert "  " not in line
            assert line == line.strip()
            assert line[-1] in ".?"


@pytest.mark.parametrize("split", ["dev", "test", "long"])
def test_every_word_of_the_held_out_splits_occurs_several_times_in_train(split: str) -> None:
    for side in ("ko", "en"):
        known = Counter(word for line in lines("train", side) for word in words(line))
        assert all(known[word] >= 3 for line in lines(split, side) for word in words(line))


def test_long_sources_are_two_to_three_times_the_training_average() -> None:
    train, long = lines("train", "ko"), lines("long", "ko")
    average = sum(map(len, train)) / len(train)
    ratios = [len(line) / average for line in long]
    assert min(ratios) >= 2.0
    assert max(ratios) <= 3.0
    assert 2.2 <= sum(ratios) / len(ratios) <= 2.6
    train_words = sum(len(line.split()) for line in train) / len(train)
    long_words = sum(len(line.split()) for line in long) / len(long)
    assert 2.0 <= long_words / train_words <= 3.0
