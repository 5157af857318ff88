"""Lines cut into sentences: nothing is lost, and stops that end nothing end nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.sentences import split_sentences


def sentences(line: str) -> list[str]:
    return [sentence for sentence, _ in split_sentences(line)]


@pytest.mark.parametrize(
    "parts",
    [
        ["비가 옵니다.", "우산을 챙기세요."],
        ["정말요?", "네, 그래요!", "그럼 가요…", "좋아요."],
        ["그는 “집에 가자.”", "그리고 나갔다."],
        ["(버전 5.0 이상이면 된다.)", "다음을 보세요."],
        ["It works.", "이제 끝입니다。", "안녕."],
        ["네.", "알겠습니다.", "왜.", "그래서요?"],
        ["값은 3.14입니다.", "https://a.kr/b.c?d=e 를 보세요.", "끝!"],
    ],
)
def test_sentences_joined_by_blanks_come_apart_again(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts


@pytest.mark.parametrize(
    "line",
    [
        "저는 3.5점을 받았습니다.",
        "Dr. Kim을 만났습니다.",
        "J. K. 롤링이 썼어요.",
        "3. 다음 장을 보세요.",
        "e.g. 사과와 배",
        "2.1. 설치 방법",
        "kotrans.text.normalize 를 부릅니다.",
        "www.example.com 에 있어요.",
        "가. 첫째 항목",
        "안녕하세요",
        "...",
        "끝났다. :",
    ],
)
def test_stops_that_end_no_sentence_leave_the_line_whole(line: str) -> None:
    assert sentences(line) == [line]


def test_a_blank_line_is_one_blank_sentence() -> None:
    assert split_sentences("") == [("", "")]
    assert split_sentences("  ") == [("  ", "")]


@given(st.text(alphabet=st.sampled_from("가나.!?… \t\n\"')3a。"), max_size=40) | st.text(max_size=40))
def test_joined_again_the_sentences_are_the_line(line: str) -> None:
    parts = split_sentences(line)
    assert "".join(sentence + space for sentence, space in parts) == line
    assert all(space and space.isspace() for _, space in parts[:-1])
    assert parts[-1][1] == ""


def test_a_very_long_line_of_end_marks_takes_no_time() -> None:
    for line in ("가. ", ".", " ", "! ", "A. ", ".)", "가 .   ", "3."):
        assert split_sentences(line * 100_000)
