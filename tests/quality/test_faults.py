"""What is counted as a fault of a translation, as laws."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.quality.faults import Faults, count_faults, is_loop, repeats
from kotrans.verbatim import latin_words, lost, numbers

TEXT = st.text(alphabet="ab1,. -+_가나３Ａ", max_size=30)
LINES = st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5)
WORDS = st.lists(
    st.sampled_from(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]),
    max_size=8,
    unique=True,
)


def counted(lines: list[tuple[str, str, str]]) -> Faults:
    sources, hypotheses, references = ([line[i] for line in lines] for i in range(3))
    return count_faults(sources, hypotheses, references)


@given(LINES)
def test_a_reference_keeps_everything_that_is_expected_of_a_hypothesis(lines: list[tuple[str, str, str]]) -> None:
    sources, references = [line[0] for line in lines], [line[2] for line in lines]
    faults = count_faults(sources, references, references)
    for survival in (faults.numbers, faults.latin):
        assert survival.recall in (None, 1.0)
        assert survival.lost == []


@given(LINES)
def test_an_empty_hypothesis_keeps_nothing_and_names_all_that_is_lost(lines: list[tuple[str, str, str]]) -> None:
    sources, references = [line[0] for line in lines], [line[2] for line in lines]
    faults = count_faults(sources, [""] * len(lines), references)
    for survival in (faults.numbers, faults.latin):
        assert survival.found == 0
        assert sum(len(lost.tokens) for lost in survival.lost) == survival.expected
        assert survival.recall in (None, 0.0)


@given(LINES, TEXT)
def test_saying_more_loses_nothing(lines: list[tuple[str, str, str]], more: str) -> None:
    sources, hypotheses, references = ([line[i] for line in lines] for i in range(3))
    short = count_faults(sources, hypotheses, references)
    long = count_faults(sources, [f"{each} {more}" for each in hypotheses], references)
    assert long.numbers.found >= short.numbers.found
    assert long.latin.found >= short.latin.found
    assert long.numbers.expected == short.numbers.expected


@given(LINES, LINES)
def test_the_counts_of_two_files_add_up(one: list[tuple[str, str, str]], other: list[tuple[str, str, str]]) -> None:
    *parts, both = (counted(lines) for lines in (one, other, one + other))
    assert both.numbers.expected == sum(part.numbers.expected for part in parts)
    assert both.latin.found == sum(part.latin.found for part in parts)
    assert both.loops == parts[0].loops + [line + len(one) for line in parts[1].loops]
    assert both.empty == parts[0].empty + [line + len(one) for line in parts[1].empty]


@given(st.integers(0, 10**12))
def test_a_number_is_the_same_with_separators_and_in_full_width(number: int) -> None:
    full_width = f"{number:,}".translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789,"})
    for written in (str(number), f"{number:,}", full_width, f"약 {number:,}개의", f"({number:,})."):
        assert numbers(written) == Counter([str(number)])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("버전 3.11.7, 1,000.5원", ["3.11.7", "1000.5"]),
        ("1, 2,3 그리고 1234,567", ["1", "2", "3", "1234", "567"]),  # a comma before three digits alone is a separator
        ("3GB와 UTF-8, x86", ["3"]),  # the digits of a word belong to it
        ("끝 7.", ["7"]),
    ],
)
def test_numbers_are_told_from_what_stands_around_them(line: str, expected: list[str]) -> None:
    assert numbers(line) == Counter(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("KDE의 apt-get을 쓰고", ["KDE", "apt-get"]),
        ("__init__과 os.path.join(x)", ["__init__", "os.path.join", "x"]),
        ("ＵＴＦ－８로 저장", ["UTF-8"]),
        ("끝은 Linux. 다음", ["Linux"]),
        ("10km 3", ["km"]),
    ],
)
def test_latin_words_are_names_and_code_words(line: str, expected: list[str]) -> None:
    assert latin_words(line) == Counter(expected)


def test_a_word_that_the_reference_spells_otherwise_is_not_expected() -> None:
    faults = count_faults(["Debian 사용자 3명, KDE"], ["users"], ["Three debian users, a KDE-based desktop"])
    assert (faults.numbers.expected, faults.latin.expected) == (0, 1)
    assert faults.numbers.recall is None
    assert [(lost.line, lost.tokens) for lost in faults.latin.lost] == [(1, ["KDE"])]


def test_a_word_within_another_word_or_in_other_letters_is_lost() -> None:
    for hypothesis in ("the gtk library", "the GTKx library", "the my_GTK library"):
        assert count_faults(["GTK 라이브러리"], [hypothesis], ["the GTK library"]).latin.found == 0


def test_a_word_may_be_part_of_a_hyphened_one() -> None:
    for hypothesis in ("a KDE-based desktop", "(KDE)", "xKDE KDE", "KDE"):
        assert count_faults(["KDE 사용"], [hypothesis], ["uses KDE"]).latin.found == 1
    assert count_faults(["a-a"], ["xa-a-a"], ["a-a"]).latin.found == 1


def test_a_word_right_behind_a_number_is_kept_as_it_is_and_apart() -> None:
    for hypothesis in ("a 10KB file", "a 10 KB file"):
        faults = count_faults(["10KB 파일"], [hypothesis], ["a 10KB file"])
        assert (faults.latin.expected, faults.latin.found) == (1, 1)
        assert (faults.numbers.expected, faults.numbers.found) == (1, 1)
        assert lost("10KB 파일", hypothesis) == Counter()


def test_what_stands_twice_must_come_twice() -> None:
    faults = count_faults(["2 더하기 2는 4"], ["2 and 4"], ["2 plus 2 is 4"])
    assert (faults.numbers.expected, faults.numbers.found) == (3, 2)
    assert faults.numbers.lost[0].tokens == ["2"]


def test_what_the_source_has_once_is_expected_once_however_often_the_reference_says_it() -> None:
    faults = count_faults(["KDE 4"], ["KDE 4"], ["KDE 4, that is KDE in its 4th version"])
    assert (faults.numbers.expected, faults.latin.expected) == (1, 1)


@given(WORDS, st.lists(st.sampled_from(["red", "green", "blue"]), min_size=1, max_size=4), WORDS)
def test_a_group_of_words_three_times_in_a_row_is_a_repetition(
    before: list[str], group: list[str], after: list[str]
) -> None:
    assert repeats(" ".join([*before, *group * 3, *after]))


@given(WORDS, WORDS)
def test_words_that_come_twice_are_none(words: list[str], others: list[str]) -> None:
    assert not repeats(" ".join(words))
    assert not repeats(" ".join(words * 2))
    assert not repeats(" ".join(word for word in words for _ in range(2)))
    assert not repeats(" ".join([*words, "between", *others]))


def test_case_and_punctuation_hide_no_repetition_and_make_none() -> None:
    assert repeats("No, no, NO!")
    assert not repeats("a - - - b . . . c")
    assert not repeats("the address 0.0.0.0")
    assert not repeats("one two three four five " * 3)  # groups are of four words at most


def test_a_repetition_that_the_reference_has_too_is_no_loop() -> None:
    assert is_loop("거룩하다", "holy, holy, holy", "He is holy")
    assert not is_loop("거룩하다 거룩하다 거룩하다", "holy, holy, holy", "Holy, holy, holy is he")


@given(st.integers(1, 30))
def test_an_output_far_longer_than_its_source_is_a_loop(length: int) -> None:
    longest = "a" * (5 * length + 40)
    assert not is_loop("가" * length, longest, "")
    assert is_loop("가" * length, longest + "a", "")


def test_empty_is_what_has_no_word_though_its_source_has() -> None:
    faults = count_faults(["가", "", " ", "나"], ["", "", "x", "\u200b"], ["a", "", "", "b"], unfinished=[2])
    assert faults.empty == [1, 4]
    assert faults.as_dict()["empty"] == {"count": 2, "rate": 0.5, "lines": [1, 4]}
    assert faults.as_dict()["unfinished"] == {"count": 1, "rate": 0.25, "lines": [2]}
    assert count_faults(["가"], ["a"], ["a"]).as_dict()["unfinished"] is None


def test_json_names_only_so_many_lines_but_counts_all() -> None:
    faults = count_faults(["1"] * 70, [""] * 70, ["1"] * 70).as_dict()
    assert (faults["numbers"]["expected"], faults["empty"]["count"]) == (70, 70)
    assert [each["line"] for each in faults["numbers"]["lost"]] == faults["empty"]["lines"] == list(range(1, 51))
