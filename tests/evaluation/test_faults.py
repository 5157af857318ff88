"""Counts of faults of translations."""

from hypothesis import given
from hypothesis import strategies as st

from kotrans.evaluation.faults import Faults, count_faults, is_loop, repeats

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
def test_the_reference_as_hypothesis_has_every_expected_literal(lines: list[tuple[str, str, str]]) -> None:
    sources, references = [line[0] for line in lines], [line[2] for line in lines]
    faults = count_faults(sources, references, references)
    for survival in (faults.numbers, faults.latin, faults.opaque):
        assert survival.recall in (None, 1.0)
        assert survival.lost == []


@given(LINES)
def test_an_empty_hypothesis_loses_every_expected_literal(lines: list[tuple[str, str, str]]) -> None:
    sources, references = [line[0] for line in lines], [line[2] for line in lines]
    faults = count_faults(sources, [""] * len(lines), references)
    for survival in (faults.numbers, faults.latin, faults.opaque):
        assert survival.found == 0
        assert sum(len(lost.tokens) for lost in survival.lost) == survival.expected
        assert survival.recall in (None, 0.0)


@given(LINES, TEXT)
def test_appending_text_loses_no_literal(lines: list[tuple[str, str, str]], more: str) -> None:
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


def test_a_word_that_the_reference_spells_otherwise_is_not_expected() -> None:
    faults = count_faults(["Debian 사용자, KDE"], ["users"], ["Debain users, a KDE-based desktop"])
    assert (faults.numbers.expected, faults.latin.expected) == (0, 1)
    assert faults.numbers.recall is None
    assert [(lost.line, lost.tokens) for lost in faults.latin.lost] == [(1, ["KDE"])]


def test_a_word_within_another_word_or_in_another_case_is_lost() -> None:
    for hypothesis in ("the gtk library", "the GTKx library", "the my_GTK library"):
        assert count_faults(["GTK 라이브러리"], [hypothesis], ["the GTK library"]).latin.found == 0


def test_a_word_may_be_part_of_a_hyphenated_one() -> None:
    for hypothesis in ("a KDE-based desktop", "(KDE)", "xKDE KDE", "KDE"):
        assert count_faults(["KDE 사용"], [hypothesis], ["uses KDE"]).latin.found == 1
    assert count_faults(["a-a"], ["xa-a-a"], ["a-a"]).latin.found == 1


def test_a_unit_is_found_with_and_without_a_space_after_its_number() -> None:
    for hypothesis in ("a 10KB file", "a 10 KB file"):
        faults = count_faults(["10KB 파일"], [hypothesis], ["a 10KB file"])
        assert (faults.latin.expected, faults.latin.found) == (1, 1)
        assert (faults.numbers.expected, faults.numbers.found) == (1, 1)


def test_numbers_are_expected_and_found_by_value() -> None:
    sources = ["9월 1일 3만 명이 왔다.", "오후 3시에 두 명이", "100만 원", "네 명"]
    references = ["30,000 people came on September 1.", "two people at 15:00", "one million won", "four people"]
    for hypotheses in (references, ["On 1 Sep, 30 thousand came.", "2 at 3 p.m.", "1,000,000 won", "four of them"]):
        numbers = count_faults(sources, hypotheses, references).numbers
        assert (numbers.expected, numbers.found) == (7, 7)
    numbers = count_faults(sources, ["3 came on August 1.", "two at 3 a.m.", "one 100 won", "for"], references).numbers
    assert numbers.found == 2
    assert [each.tokens for each in numbers.lost] == [["3만", "9월"], ["오후 3시"], ["100만"], ["네"]]


def test_an_article_is_not_a_number() -> None:
    assert count_faults(["1명"], ["nobody"], ["a man"]).numbers.expected == 0
    assert count_faults(["1명"], ["a man"], ["one man"]).numbers.found == 0


def test_placeholders_and_addresses_are_expected_whole() -> None:
    source = "%s 파일을 {name}에서 https://a.kr/x?y=1 로, a@b.kr"
    reference = "%s from {name} to https://a.kr/x?y=1, a@b.kr"
    faults = count_faults([source], ["% s from {name} to https://a.kr/x, a@b.kr"], [reference])
    assert (faults.opaque.expected, faults.opaque.found) == (4, 2)
    assert faults.opaque.lost[0].tokens == ["%s", "https://a.kr/x?y=1"]
    assert faults.as_dict()["opaque"]["recall"] == 0.5


def test_a_literal_that_occurs_twice_is_expected_twice() -> None:
    faults = count_faults(["2 더하기 2는 4"], ["2 and 4"], ["2 plus 2 is 4"])
    assert (faults.numbers.expected, faults.numbers.found) == (3, 2)
    assert faults.numbers.lost[0].tokens == ["2"]


def test_a_literal_that_occurs_once_in_the_source_is_expected_once() -> None:
    faults = count_faults(["KDE 4"], ["KDE 4"], ["KDE 4, that is KDE in its 4th version"])
    assert (faults.numbers.expected, faults.latin.expected) == (1, 1)


@given(WORDS, st.lists(st.sampled_from(["red", "green", "blue"]), min_size=1, max_size=4), WORDS)
def test_a_group_of_words_three_times_in_a_row_is_a_repetition(
    before: list[str], group: list[str], after: list[str]
) -> None:
    assert repeats(" ".join([*before, *group * 3, *after]))


@given(WORDS, WORDS)
def test_a_group_of_words_twice_in_a_row_is_no_repetition(words: list[str], others: list[str]) -> None:
    assert not repeats(" ".join(words))
    assert not repeats(" ".join(words * 2))
    assert not repeats(" ".join(word for word in words for _ in range(2)))
    assert not repeats(" ".join([*words, "between", *others]))


def test_case_and_punctuation_are_ignored_in_repetitions() -> None:
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


def test_a_blank_hypothesis_of_a_source_with_text_is_empty() -> None:
    faults = count_faults(["가", "", " ", "나"], ["", "", "x", "\u200b"], ["a", "", "", "b"], unfinished=[2])
    assert faults.empty == [1, 4]
    assert faults.as_dict()["empty"] == {"count": 2, "rate": 0.5, "lines": [1, 4]}
    assert faults.as_dict()["unfinished"] == {"count": 1, "rate": 0.25, "lines": [2]}
    assert count_faults(["가"], ["a"], ["a"]).as_dict()["unfinished"] is None


def test_json_names_only_so_many_lines_but_counts_all() -> None:
    faults = count_faults(["1"] * 70, [""] * 70, ["1"] * 70).as_dict()
    assert (faults["numbers"]["expected"], faults["empty"]["count"]) == (70, 70)
    assert [each["line"] for each in faults["numbers"]["lost"]] == faults["empty"]["lines"] == list(range(1, 51))
