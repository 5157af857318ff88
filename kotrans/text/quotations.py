"""Where a line quotes: what quotation marks and brackets enclose."""

import re
from collections.abc import Iterator

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
