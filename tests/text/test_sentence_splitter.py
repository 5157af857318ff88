"""Sentence splitting: no character is lost, and full stops inside a sentence do not end it."""

from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.storage.files import read_lines
from kotrans.text.sentence_splitter import enclosed, split_sentences


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
        ["S'데이 행사다.", "내일 연다."],
        ["일본의 '23년 행사다.", "'24년에도 연다."],
        ['키는 5" 정도다.', "작다."],
        ["그는 “안녕. 반갑다.”라고 했다.", '나도 "그래."라고 했다.'],
        ["그는 “안녕.", "나는 간다.", "그는 갔다."],
        ["고양이가 갔다.", "고 김구 선생의 글이다."],
        ["1) 이것이다.", "2) 저것이다."],
        ["- 어디 가?", "- 집에 가."],
        ["- 어디 가", "- 집에"],
        ["– 안녕", "– 응 안녕"],
        ["안녕하세요", "저는 학생입니다", "반갑습니다"],
        ["어디 가세요", "집에 갑니다"],
        ["시행일은 2023. 5. 1. 이다.", "다음 장을 보라."],
        ["음… 글쎄요.", "그럴까요…", "네."],
        ["버전은 Ver. 2이다.", "내려받아라."],
    ],
)
def test_sentences_joined_by_spaces_are_split_again(parts: list[str]) -> None:
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
        "kotrans.text.normalization.normalize 를 부릅니다.",
        "www.example.com 에 있어요.",
        "가. 첫째 항목",
        "안녕하세요",
        "...",
        "끝났다. :",
        '그는 "갈 거니? 아니거든." 라고 말했다.',
        "그는 “가자.” 하고 웃었다.",
        '"어디 가니?" 하고 엄마가 물었다.',
        '"어디 가니?" 라며 엄마가 물었다.',
        "‘왜 그래?’ 하며 웃었다.",
        "'갈 거니? 아니거든.' 라는 말이다.",
        "「갈 거니? 아니거든.」 고 했다.",
        "『갈 거니? 아니거든.』 며 했다.",
        "«갈 거니? 아니거든.» 이라고 했다.",
        "＂갈 거니? 아니거든.＂라고 했다.",
        '" 가자. 나가자. " 하고 말했다.',
        "그는 'don't worry. be happy.'라고 했다.",
        "왜 가니? 라고 물었다.",
        "이 지시어는 (그 아래에만 해당된다.) 헤더를 만든다.",
        "어제 Yahoo! 뉴스를 봤다.",
        "assert_eq! 매크로를 쓴다.",
        "음… 글쎄요",
        "음... 글쎄요",
        "이 규칙은 2023. 5. 1. 시행한다.",
        "회의는 '23. 5. 1. 열립니다.",
        "회의는 2023. 5. 1.(월) 열립니다.",
        "접수는 2023. 5. 1. ~ 2023. 6. 30. 입니다.",
        "Windows 11 Ver. 2 출시",
        "제목은 ch. 3 이다",
        "II. 결과와 논의",
        "(1) 다음",
        "-O 옵션은 지우고, -OO 옵션은 더 지운다.",
        "공연합니다만 비가 옵니다",
    ],
)
def test_a_line_of_one_sentence_is_not_split(line: str) -> None:
    assert sentences(line) == [line]


def test_a_blank_line_is_one_blank_sentence() -> None:
    assert split_sentences("") == [("", "")]
    assert split_sentences("  ") == [("  ", "")]


@given(st.text(alphabet=st.sampled_from("가나.!?… \t\n\"')3a。"), max_size=40) | st.text(max_size=40))
def test_the_sentences_joined_are_the_line(line: str) -> None:
    parts = split_sentences(line)
    assert "".join(sentence + space for sentence, space in parts) == line
    assert all(space and space.isspace() for _, space in parts[:-1])
    assert parts[-1][1] == ""


MARKS = "“”‘’「」『』«»\"'()[]＂"


@given(st.text(alphabet=st.sampled_from(f"{MARKS}가a. "), max_size=60))
def test_enclosed_spans_begin_and_end_with_a_mark_and_do_not_overlap(line: str) -> None:
    pairs = enclosed(line)
    assert all(line[opened] in MARKS and line[closed] in MARKS and opened < closed for opened, closed in pairs)
    assert all(before[1] < after[0] for before, after in pairwise(pairs))


@given(
    st.text(alphabet="가나 ,", max_size=20),
    st.text(alphabet="가나 ,", max_size=20),
    st.sampled_from(["“”", '""', "「」"]),
)
def test_no_sentence_ends_inside_a_quotation(before: str, quoted: str, marks: str) -> None:
    line = f"그는 {marks[0]}{quoted}가자. 나가자? {quoted}가{marks[1]}라고 {before}했다. 끝났다."
    assert [sentence.count(marks[0]) for sentence in sentences(line)][:2] == [2 if marks == '""' else 1, 0]


PIECES = ("가. ", ".", "! ", "A. ", ".)", "가 .   ", "3.", "'", "(", "(가.) ", "- 가", "“가. ", "입니다 ", "… ")


@pytest.mark.slow
@pytest.mark.parametrize(("piece", "length"), [*((piece, 30_000) for piece in PIECES), ("“가. A. ", 1_000_000)])
def test_a_very_long_line_is_split_in_linear_time(piece: str, length: int) -> None:
    line = "- " + piece * (length // len(piece))
    assert "".join(sentence + space for sentence, space in split_sentences(line)) == line


SHARED = Path(__file__).parents[3] / "shared" / "corpora"


@pytest.mark.parametrize(
    ("file", "cut", "precision", "recall"),
    [
        ("open-ko-en/dev.ko", 0.05, 0.9, 0.78),  # has many headings, which end without a mark
        ("tatoeba/dev.ko", 0.01, 0.98, 0.98),
        ("korean-english-park/dev.ko", 0.03, 0.95, 0.92),
        ("korean-english-jhe/dev.ko", 0.05, 0.92, 0.98),
    ],
)
@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared corpora")
def test_splitting_has_high_precision_and_recall_on_real_corpora(
    file: str, cut: float, precision: float, recall: float
) -> None:
    lines = [line.strip() for line in read_lines(SHARED / file) if line.strip()]
    assert sum(len(sentences(line)) > 1 for line in lines) / len(lines) < cut
    right = found = known = 0
    for start in range(0, len(lines) - 3, 3):
        paragraph = lines[start : start + 3]
        expected = boundaries(paragraph)
        ends = boundaries([sentence for sentence, _ in split_sentences(" ".join(paragraph))])
        right, found, known = right + len(expected & ends), found + len(ends), known + len(expected)
    assert right / found > precision
    assert right / known > recall


def boundaries(parts: list[str]) -> set[int]:
    """The boundaries between the parts, as numbers of characters without white space."""
    return set(accumulate(len("".join(part.split())) for part in parts[:-1]))
