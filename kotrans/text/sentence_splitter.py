"""A line of text cut into its sentences.

Where a line quotes: what quotation marks and brackets enclose.

Texts of several lines: each line is translated by itself, and the line breaks stay where they are.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LONGEST = 400  # characters; what encloses more is a missing mark, or a text that has to be cut all the same
_CLOSED_BY = dict(zip("“‘「『«‹〈《｢([【", "”’」』»›〉》｣)]】", strict=True))
_OPENED_BY = {closing: opening for opening, closing in _CLOSED_BY.items()}
_STRAIGHT = {'"': '"', "＂": '"', "'": "'", "＇": "'"}
_MARKS = re.compile("[“‘「『«‹〈《｢(\\[【”’」』»›〉》｣)\\]】\"＂'＇]")
_YEAR = re.compile(r"\d\d(?!\d)")  # behind an apostrophe: '23


def enclosed(line: str) -> list[tuple[int, int]]:
    """The outermost pairs of marks, in order: where the opening one is, and where the closing one is.

    A mark without its partner encloses nothing: an apostrophe, a missing quotation mark, `1)` of a list.
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
    waiting: dict[str, int] = {}  # where each opening mark stands that has no partner yet
    for match in _MARKS.finditer(line):
        mark, place = match[0], match.start()
        kind = _STRAIGHT.get(mark) or _OPENED_BY.get(mark) or mark
        opened = waiting.get(kind)
        if _opens(line, place, mark, waiting=opened is not None):
            waiting[kind] = place
        elif opened is not None and not _is_apostrophe(line, place, mark):
            del waiting[kind]
            if place - opened <= _LONGEST:
                yield opened, place


def _opens(line: str, place: int, mark: str, *, waiting: bool) -> bool:
    if mark in _CLOSED_BY:
        return True
    if mark not in _STRAIGHT:
        return False
    before, after = line[place - 1 : place], line[place + 1 : place + 2]
    if _STRAIGHT[mark] == "'" and (before.isalnum() or _YEAR.match(line, place + 1)):
        return False
    if not after or (waiting and after.isspace()):
        return False
    begins = not before or before.isspace() or before in _CLOSED_BY or before in _STRAIGHT
    return (begins and not after.isspace()) or not waiting


def _is_apostrophe(line: str, place: int, mark: str) -> bool:
    before, after = line[place - 1 : place], line[place + 1 : place + 2]
    return mark in "'’＇" and before.isascii() and before.isalpha() and after.isascii() and after.isalpha()


_BREAK = re.compile(r"(\r\n|\n|\r)")


class SplitText(NamedTuple):
    """A text cut at its line breaks."""

    lines: tuple[str, ...]
    """At least one; blank lines count."""
    breaks: tuple[str, ...]
    """The line breaks between lines; one fewer than `lines`."""

    def join(self, lines: list[str]) -> str:
        """The text of other lines, as many as there are, with the same line breaks."""
        between = [*self.breaks, ""]
        return "".join(line + end for line, end in zip(lines, between, strict=True))


def split_lines(text: str) -> SplitText:
    """The lines of a text. A line ends at \\n, \\r\\n or \\r, as in the files of all systems."""
    pieces = _BREAK.split(text)
    return SplitText(tuple(pieces[::2]), tuple(pieces[1::2]))


_CLOSING = "\"'”’»›)\\]}」』】〉》＂＇｣"
_QUOTES = "\"'”’»›」』＂＇｣"
_WINDOW = 40  # characters before an end mark that are looked at

# End marks, what closes with them, white space, and soon a word: otherwise it is a number, an address, a name. No part
# of it looks far or twice, so that a line of a million full stops takes no longer than another.
_MARKED = rf"(?<![.!?…。？！])(?P<marks>[.!?…。？！]++)(?P<closing>[{_CLOSING}]*+)(?P<space>\s++)(?=\W{{0,20}}\w)"
# Ends without a mark, as in subtitles: a verb in its formal or polite form, and white space. `좋아요` is a noun, too.
_UNMARKED = (
    r"(?<=[가-힣])(?:(?<=[습입합십됩갑옵봅줍닙랍럽립깁킵칩])니[다까]"
    r"|세요|에요|예요|해요|네요|군요|어요|(?<!좋)아요|워요|와요|봐요|줘요)"
    r"(?P<unmarked>\s++)(?=[가-힣A-Za-z])"
)
_END = re.compile(f"{_MARKED}|{_UNMARKED}")
# In a line that begins with a dash, as dialogues do, another dash begins another's words.
_DASHED = re.compile(r"\s*[-–—](?=[\s가-힣])")
_DASH = re.compile(r"(?<=[^\s\-–—])(\s++)(?=[-–—]\s?[가-힣])")

_OPENING = "([<{'\"“‘「『【〈《＂＇｢"
# Words whose full stop ends no sentence: initials, numbers of dates, lists and chapters, abbreviations.
_NO_END = re.compile(
    r"(?:[A-Za-z]|\d{1,4}(?:\.\d{1,3})*|(?:[A-Za-z]\.)+[A-Za-z]|[IVX]{1,5}|"
    r"(?i:mr|mrs|ms|dr|prof|st|vs|etc|no|nos|vol|fig|jr|sr|inc|ltd|co|corp|al|cf|approx|dept|est|ca|ver|pp|ch|sec|"
    r"ed|eds|rev|op|art|ext|tel))\."
)
_ITEM = re.compile("[가나다라마바사아자차카타파하]\\.")  # at the beginning
_ABBREVIATED = re.compile(r"(?:.*[^A-Za-z])?[A-Za-z]{1,5}\.")  # before a number: `Ver. 2`, `ch. 3`
# An ellipsis ends a sentence after a verb's final form and else is a pause: `음… 글쎄요`.
_FINAL = re.compile(r".*[가-힣][다요죠까지네군][.…]+")
# An exclamation mark that is part of a Latin name among Korean words: `Yahoo! 뉴스`, `assert! 매크로`.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*!")
# These never begin a sentence; they follow a quotation.
_QUOTING = re.compile(r"이?라(?:고|며|면서|는|던)(?![가-힣])|이?라고(?:는|도|만|요)(?![가-힣])")
_AFTER_QUOTE = re.compile(
    r"(?:하(?:고|며|는|던|자|니|더니|였다|면서|고는|길래)|했다|고|며|면서|는|란|이란|이?라(?:니|지|던가|든가))(?![가-힣])"
)


class _Cut(NamedTuple):
    """Where a sentence may end, and where the next one begins."""

    end: int
    begin: int


def split_sentences(line: str) -> list[tuple[str, str]]:
    """The sentences of a line, each with the white space behind it; joined they are the line again.

    A sentence ends with an end mark before white space, in Korean as in English: `-다.`, `-요?`; with a pause mark
    only after a final form: `가요…`, not `음…`. It does not end inside a quotation or brackets, before what quotes it
    (`"갈 거니?" 하고`), with the stop of an initial (`J. Kim`), of a date (`2023. 5. 1.`), of a number in front
    (`3. 다음`), or of an abbreviation (`Dr. Kim`). Without a mark it ends after formal and polite endings (`-습니다`).
    """
    sentences, start = [], 0
    for cut in _cuts(line):
        sentences.append((line[start : cut.end], line[cut.end : cut.begin]))
        start = cut.begin
    return [*sentences, (line[start:], "")]


def _cuts(line: str) -> Iterator[_Cut]:
    spans, start = iter(enclosed(line)), 0
    before, (opened, closed) = (0, 0), next(spans, (len(line), len(line)))
    for cut, certain in _candidates(line):
        while closed < cut.end:
            before, (opened, closed) = (opened, closed), next(spans, (len(line), len(line)))
        if cut.end > opened or cut.end <= start or _is_remark(line, start, before, cut):
            continue
        if certain or _ends(line, max(start, cut.end - _WINDOW), cut):
            yield cut
            start = cut.begin


def _candidates(line: str) -> Iterator[tuple[_Cut, bool]]:
    """Where sentences may end, in order, and whether it is certain that one does."""
    marked = ((_Cut(*_space(match)), match["unmarked"] is not None) for match in _END.finditer(line))
    if not _DASHED.match(line):
        return marked
    dashes = {match.start(1): _Cut(*match.span(1)) for match in _DASH.finditer(line)}
    found = {cut.end: (cut, certain) for cut, certain in marked} | {end: (cut, True) for end, cut in dashes.items()}
    return (found[end] for end in sorted(found))


def _space(match: re.Match[str]) -> tuple[int, int]:
    return match.span("unmarked" if match["marks"] is None else "space")


def _is_remark(line: str, start: int, enclosed: tuple[int, int], cut: _Cut) -> bool:
    """Whether brackets inside a sentence close here: `이 값은 (아래를 보라.) 크다.`"""
    opened, closed = enclosed
    return closed == cut.end - 1 and line[closed] in ")]" and line[start:opened].strip() != ""


def _ends(line: str, window: int, cut: _Cut) -> bool:
    """Whether a sentence ends at these marks, judged by the word before them."""
    before, after = line[window : cut.end], line[cut.begin : cut.begin + 8]
    if _QUOTING.match(after) or (before[-1] in _QUOTES and _AFTER_QUOTE.match(after)):
        return False
    if before[-1] in _CLOSING:
        return True
    *rest, word = before.rsplit(maxsplit=1)
    marks = len(word) - len(word.rstrip(".…"))
    if marks > 1 or word.endswith("…"):
        return len(word) > marks + 1 and _FINAL.fullmatch(word) is not None
    word, behind = word.lstrip(_OPENING), rest[0][-1:] if rest else ""
    if _NO_END.fullmatch(word) or (not rest and _ITEM.fullmatch(word)):
        return False
    if after[0].isdigit() and _ABBREVIATED.fullmatch(word):
        return False
    named = _NAME.fullmatch(word) is not None and (not behind or "가" <= behind <= "힣")
    return not named or after[0].isascii()
