"""Literals of a line, and which of them a translation contains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.text.literals import Kind, Literals, kept_flags, missing_literals


def texts(line: str, kind: Kind, *, firm: bool = True) -> list[str]:
    return [token.text for token in Literals(line).of(kind) if token.firm or not firm]


def missing(source: str, text: str) -> list[str]:
    return [token.text for token in missing_literals(Literals(source), Literals(text))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("KDE의 apt-get을 쓰고", ["KDE", "apt-get"]),
        ("__init__과 os.path.join(x)", ["__init__", "os.path.join", "x"]),
        ("ＵＴＦ－８로 저장", ["UTF-8"]),
        ("끝은 Linux. 다음", ["Linux"]),
        ("A씨는 B형 간염", ["A", "B"]),
        ("PyMem_Setup() 함수", ["PyMem_Setup()"]),
        ("저장(S) 파일(_F) 저장(&S)", []),
        ("<b>저장</b>을 누르세요", []),
        ("10km 3GB", []),  # units, which English may spell out
        ("%s을(를) {name}에서", []),
    ],
)
def test_latin_words_are_found(line: str, expected: list[str]) -> None:
    assert texts(line, "word") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("3GB와 UTF-8, x86", ["3"]),  # the digits of a word belong to it
        ("%1$s {0} <@525363044948115456> +82-2-123-4567 a1@b2.kr 7", ["7"]),
        ("두 명 3명", ["3"]),  # numbers in words may be omitted
        ("３만 명", ["3만"]),
    ],
)
def test_numbers_that_a_translation_must_contain_are_in_digits(line: str, expected: list[str]) -> None:
    assert texts(line, "number") == expected


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("3만 명이 왔다", "30,000 people came"),
        ("9월 1일은", "September 1"),
        ("100만 원", "one million won"),
        ("CD 2장", "two CDs"),
        ("10대, 1등, 3시", "teens, first, three o'clock"),
        ("1명", "a man"),
        ("10KB 파일", "a 10 KB file"),
        ("KDE 사용", "a KDE-based desktop"),
        ("19:30에 시작", "starts at 7:30 p.m."),
        ("$1 지폐", "a dollar bill"),
        ("f() 함수", "the function f"),
    ],
)
def test_a_literal_in_another_form_is_not_lost(source: str, text: str) -> None:
    assert missing(source, text) == []


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("3만 명이 왔다", "3 people came", ["3만"]),
        ("9월 1일은", "August 1", ["9월"]),
        ("GTK", "the gtk library, GTKx, my_GTK", ["GTK"]),
        ("2 더하기 2는 4", "2 and 4", ["2"]),
        ("f() 함수", "f()() is", ["f()"]),
        ("%s을 %d", "% s and %s", ["%d"]),
        ("kim@a.kr", "see http://b.kr/kim@a", ["kim@a.kr"]),
        ("kim", "kim@a.kr", ["kim"]),
    ],
)
def test_a_literal_missing_from_the_translation_is_lost(source: str, text: str, expected: list[str]) -> None:
    assert missing(source, text) == expected


LINES = st.text(alphabet="12ab %s{}@.:만월시A오후, ", max_size=20)
PARTS = st.lists(
    st.sampled_from(["2", "3시", "15:00", "3", "오후 3시", "5월", "5", "May", "두 명", "3 p.m.", "5K", "5,000", "a"]),
    max_size=7,
)


@given(LINES)
def test_a_line_contains_all_of_its_own_literals(line: str) -> None:
    literals = Literals(line)
    assert missing_literals(literals, literals) == []
    assert all(kept_flags(literals.tokens, literals))


@given(PARTS, PARTS, PARTS)
def test_the_matching_of_numbers_is_maximal_and_longer_text_loses_no_more(
    source: list[str], text: list[str], more: list[str]
) -> None:
    def count(*parts: str) -> int:
        return len(missing_literals(there, Literals("; ".join(parts))))

    there = Literals("; ".join(source))
    assert count(*text, *more) <= count(*text)
    assert count(*source) == 0
    assert count(*text) == count(*reversed(text))


def test_a_thousand_numbers_on_each_side_are_compared_quickly() -> None:
    source, text = Literals("2 " * 1000 + "3시 " * 500), Literals("2 " * 500 + "15:00 " * 900)
    assert len(missing_literals(source, text)) == 500
