"""Splits a text into lines, and a line into sentences, without splitting inside quotations and brackets."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BREAK = re.compile(r"(\r\n|\n|\r)")

_LONGEST_ENCLOSED = 400  # characters; a longer enclosed text is more likely a missing mark
_CLOSED_BY = dict(zip("“‘「『«‹〈《｢([【", "”’」』»›〉》｣)]】", strict=True))
_OPENED_BY = {closing: opening for opening, closing in _CLOSED_BY.items()}
_STRAIGHT = {'"': '"', "＂": '"', "'": "'", "＇": "'"}
_MARKS = re.compile("[“‘「『«‹〈《｢(\\[【”’」』»›〉》｣)\\]】\"＂'＇]")
_YEAR = re.compile(r"\d\d(?!\d)")  # after an apostrophe: '23

_OPENING = "([<{'\"“‘「『【〈《＂＇｢"
_CLOSING = "\"'”’»›)\\]}」』】〉》＂＇｣"
_QUOTES = "\"'”’»›」』＂＇｣"
_WINDOW = 40  # characters before an end mark that are examined

# End marks, closing marks, white space, and a word soon after; otherwise it is a number, an address or a name.
# Possessive and bounded, so that the time is linear in the length of the line.
_MARKED = rf"(?<![.!?…。？！])(?P<marks>[.!?…。？！]++)(?P<closing>[{_CLOSING}]*+)(?P<space>\s++)(?=\W{{0,20}}\w)"
# A sentence end without a mark, as in subtitles: a formal or polite verb ending. `좋아요` is also a noun.
_UNMARKED = (
    r"(?<=[가-힣])(?:(?<=[습입합십됩갑옵봅줍닙랍럽립깁킵칩])니[다까]"
    r"|세요|에요|예요|해요|네요|군요|어요|(?<!좋)아요|워요|와요|봐요|줘요)"
    r"(?P<unmarked>\s++)(?=[가-힣A-Za-z])"
)
_END = re.compile(f"{_MARKED}|{_UNMARKED}")
# In a line that begins with a dash, as in dialogues, every dash begins a new utterance.
_DASHED = re.compile(r"\s*[-–—](?=[\s가-힣])")
_DASH = re.compile(r"(?<=[^\s\-–—])(\s++)(?=[-–—]\s?[가-힣])")

# Words whose full stop does not end a sentence: initials, numbers of dates, lists and chapters, abbreviations.
_NO_END = re.compile(
    r"(?:[A-Za-z]|\d{1,4}(?:\.\d{1,3})*|(?:[A-Za-z]\.)+[A-Za-z]|[IVX]{1,5}|"
    r"(?i:mr|mrs|ms|dr|prof|st|vs|etc|no|nos|vol|fig|jr|sr|inc|ltd|co|corp|al|cf|approx|dept|est|ca|ver|pp|ch|sec|"
    r"ed|eds|rev|op|art|ext|tel))\."
)
_ITEM = re.compile("[가나다라마바사아자차카타파하]\\.")  # a list item, at the beginning of a line
_ABBREVIATED = re.compile(r"(?:.*[^A-Za-z])?[A-Za-z]{1,5}\.")  # before a number: `Ver. 2`, `ch. 3`
# An ellipsis ends a sentence only after the final form of a verb; elsewhere it is a pause: `음… 글쎄요`.
_FINAL = re.compile(r".*[가-힣][다요죠까지네군][.…]+")
# A Latin name that contains an exclamation mark, among Korean words: `Yahoo! 뉴스`, `assert! 매크로`.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*!")
# Quotative particles and verbs, which follow a quotation and never begin a sentence.
_QUOTING = re.compile(r"이?라(?:고|며|면서|는|던)(?![가-힣])|이?라고(?:는|도|만|요)(?![가-힣])")
_AFTER_QUOTE = re.compile(
    r"(?:하(?:고|며|는|던|자|니|더니|였다|면서|고는|길래)|했다|고|며|면서|는|란|이란|이?라(?:니|지|던가|든가))(?![가-힣])"
)


class SplitText(NamedTuple):
    """A text split at its line breaks."""

    lines: tuple[str, ...]
    """At least one line; blank lines are included."""
    breaks: tuple[str, ...]
    """The line breaks between the lines, one fewer than `lines`."""

    def join(self, lines: list[str]) -> str:
        """Joins the same number of other lines with the same line breaks."""
        between = [*self.breaks, ""]
        return "".join(line + end for line, end in zip(lines, between, strict=True))


class _Boundary(NamedTuple):
    """A possible sentence boundary: the white space from `end` of a sentence to `begin` of the next one."""

    end: int
    begin: int


def split_lines(text: str) -> SplitText:
    """Splits a text at \\n, \\r\\n and \\r."""
    parts = _BREAK.split(text)
    return SplitText(tuple(parts[::2]), tuple(parts[1::2]))


def split_sentences(line: str) -> list[tuple[str, str]]:
    """Returns the sentences of a line, each with the white space after it. Joined, they are the line.

    A sentence ends at an end mark followed by white space (`-다.`, `-요?`), at an ellipsis after a final verb form
    (`가요…`, not `음…`), or without a mark after formal and polite endings (`-습니다`). It does not end inside a
    quotation or brackets, before a quotative (`"갈 거니?" 하고`), or at the full stop of an initial (`J. Kim`), a date
    (`2023. 5. 1.`), a list number (`3. 다음`) or an abbreviation (`Dr. Kim`).
    """
    sentences, start = [], 0
    for boundary in _boundaries(line):
        sentences.append((line[start : boundary.end], line[boundary.end : boundary.begin]))
        start = boundary.begin
    return [*sentences, (line[start:], "")]


def _boundaries(line: str) -> Iterator[_Boundary]:
    spans, start = iter(enclosed(line)), 0
    before, (opened, closed) = (0, 0), next(spans, (len(line), len(line)))
    for boundary, certain in _candidates(line):
        while closed < boundary.end:
            before, (opened, closed) = (opened, closed), next(spans, (len(line), len(line)))
        if boundary.end > opened or boundary.end <= start or _is_remark(line, start, before, boundary):
            continue
        if certain or _is_end(line, max(start, boundary.end - _WINDOW), boundary):
            yield boundary
            start = boundary.begin


def _candidates(line: str) -> Iterator[tuple[_Boundary, bool]]:
    """Yields the possible boundaries in order, and whether each of them is certain."""
    marked = ((_Boundary(*_space(match)), match["unmarked"] is not None) for match in _END.finditer(line))
    if not _DASHED.match(line):
        return marked
    found = {boundary.end: (boundary, certain) for boundary, certain in marked}
    found |= {match.start(1): (_Boundary(*match.span(1)), True) for match in _DASH.finditer(line)}
    return (found[end] for end in sorted(found))


def _space(match: re.Match[str]) -> tuple[int, int]:
    return match.span("unmarked" if match["marks"] is None else "space")


def _is_remark(line: str, start: int, span: tuple[int, int], boundary: _Boundary) -> bool:
    """Returns whether brackets inside a sentence close here: `이 값은 (아래를 보라.) 크다.`"""
    opened, closed = span
    return closed == boundary.end - 1 and line[closed] in ")]" and line[start:opened].strip() != ""


def _is_end(line: str, window: int, boundary: _Boundary) -> bool:
    """Returns whether a sentence ends at a boundary, judged by the words around it."""
    before, after = line[window : boundary.end], line[boundary.begin : boundary.begin + 8]
    if _QUOTING.match(after) or (before[-1] in _QUOTES and _AFTER_QUOTE.match(after)):
        return False
    if before[-1] in _CLOSING:
        return True
    *rest, word = before.rsplit(maxsplit=1)
    marks = len(word) - len(word.rstrip(".…"))
    if marks > 1 or word.endswith("…"):
        return len(word) > marks + 1 and _FINAL.fullmatch(word) is not None
    word, last = word.lstrip(_OPENING), rest[0][-1:] if rest else ""
    if _NO_END.fullmatch(word) or (not rest and _ITEM.fullmatch(word)):
        return False
    if after[0].isdigit() and _ABBREVIATED.fullmatch(word):
        return False
    is_name = _NAME.fullmatch(word) is not None and (not last or "가" <= last <= "힣")
    return not is_name or after[0].isascii()


def enclosed(line: str) -> list[tuple[int, int]]:
    """Returns the indices of the outermost pairs of quotation marks and brackets, in order.

    A mark without a partner is ignored: an apostrophe, a missing quotation mark, `1)` of a list.
    """
    pairs = sorted(_pairs(line))
    outermost: list[tuple[int, int]] = []
    for opening, closing in pairs:
        if outermost and opening <= outermost[-1][1]:
            outermost[-1] = outermost[-1][0], max(outermost[-1][1], closing)
        else:
            outermost.append((opening, closing))
    return outermost


def _pairs(line: str) -> Iterator[tuple[int, int]]:
    unclosed: dict[str, int] = {}  # index of the last opening mark of each kind without a partner
    for match in _MARKS.finditer(line):
        mark, index = match[0], match.start()
        kind = _STRAIGHT.get(mark) or _OPENED_BY.get(mark) or mark
        opened = unclosed.get(kind)
        if _opens(line, index, mark, is_open=opened is not None):
            unclosed[kind] = index
        elif opened is not None and not _is_apostrophe(line, index, mark):
            del unclosed[kind]
            if index - opened <= _LONGEST_ENCLOSED:
                yield opened, index


def _opens(line: str, index: int, mark: str, *, is_open: bool) -> bool:
    if mark in _CLOSED_BY:
        return True
    if mark not in _STRAIGHT:
        return False
    before, after = line[index - 1 : index], line[index + 1 : index + 2]
    if _STRAIGHT[mark] == "'" and (before.isalnum() or _YEAR.match(line, index + 1)):
        return False
    if not after or (is_open and after.isspace()):
        return False
    begins = not before or before.isspace() or before in _CLOSED_BY or before in _STRAIGHT
    return (begins and not after.isspace()) or not is_open


def _is_apostrophe(line: str, index: int, mark: str) -> bool:
    before, after = line[index - 1 : index], line[index + 1 : index + 2]
    return mark in "'’＇" and before.isascii() and before.isalpha() and after.isascii() and after.isalpha()
