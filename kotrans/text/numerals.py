"""Values of numbers that are written in words or with units: "thirty-two thousand", "1.2 billion", "1억 2천만"."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)*"
"""A number in digits, with or without thousands separators, or a version number."""

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SMALL = {word: n for n, word in enumerate(_ONES)} | _TENS
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
    **{f"{word}th": n for n, word in enumerate(_ONES) if n in (4, 6, 7, 10, 11, *range(13, 20))},
    **{f"{word[:-1]}ieth": n for word, n in _TENS.items()},
}  # fmt: skip
_DECADES = {f"{word[:-1]}ies": n for word, n in _TENS.items()}
MAGNITUDES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MULTIPLIED = {"hundred": 100, "dozen": 12, **MAGNITUDES}
_WORD = "|".join(sorted([*_SMALL, *_ORDINALS, *_DECADES, *_MULTIPLIED, "half"], key=len, reverse=True))
_STEP = re.compile(
    rf"(?P<joint>(?:[ -]and[ -](?:a )?|[ -])?)(?:(?P<digits>{DIGITS})|(?P<word>{_WORD})(?:ths?|s)?\b)", re.I
)
ENGLISH = (
    rf"(?:{DIGITS}(?=[ -](?:hundred|dozen|thousand|million|billion|trillion|and a half)\b)|\b(?:{_WORD})(?:s\b|\b))"
    rf"(?:(?:[ -]and[ -](?:a )?|[ -])(?:{_WORD})s?\b)*"
)
"""A sequence of English number words, which may begin with digits before a word such as "million"."""

_KOREAN_DIGITS = {character: n for n, character in enumerate("영일이삼사오육칠팔구")} | {"공": 0}
_KOREAN_UNITS = {"십": 10, "백": 100, "천": 1000, "만": 10**4, "억": 10**8, "조": 10**12}
# Excludes units that begin another word, such as 3만큼, 7조각 and 제2조.
_UNIT = (
    "(?:만(?!큼|약|일|료|기|족|화)|억(?!제|울|압|류)|천(?!연|사|재|국|문)|백(?!업|신|화|인)|십(?!자|이지)"
    "|조(?= ?(?:[0-9,]+억|원|달러|엔|유로|위안|파운드|여|억|만)))"
)
KOREAN = (
    rf"{DIGITS}여? ?{_UNIT}+(?: ?(?:{DIGITS}|[일이삼사오육칠팔구])여?{_UNIT}+)*"
    rf"(?: ?{DIGITS}(?! ?(?:년|월|일|시|분|%|:|~|-|여?{_UNIT})))?"
)
"""A number in digits with Korean units, such as 3만, 1억 2천만 and 1만 2,345."""
_KOREAN_STEP = re.compile(rf"(?P<digits>{DIGITS})|(?P<word>[일이삼사오육칠팔구영공])|(?P<unit>[십백천만억조])|여| ")

_NATIVE_ONES = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "넷": 4, "네": 4, "다섯": 5, "여섯": 6, "일곱": 7,
    "여덟": 8, "아홉": 9,
}  # fmt: skip
_NATIVE_TENS = {
    "열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80, "아흔": 90,
}  # fmt: skip
NATIVE = f"(?:(?:{'|'.join(_NATIVE_TENS)})(?:{'|'.join(_NATIVE_ONES)})?|{'|'.join(_NATIVE_ONES)})"
"""A native Korean numeral up to 99, such as 두, 셋 and 스물다섯."""


class Numeral(NamedTuple):
    """A number in a sequence of number words."""

    begin: int
    """Index of its first character in the sequence."""
    end: int
    """One past its last character."""
    value: Decimal
    form: str
    """`cardinal`, `ordinal`, `decade` or `half`."""


def decimal(digits: str) -> Decimal:
    """Returns the value of digits with separators; of a version number such as 3.11.2, the first two parts."""
    return Decimal(".".join(digits.replace(",", "").split(".")[:2]))


def read_english(run: str) -> Iterator[Numeral]:
    """Yields the numbers of a match of `ENGLISH`: one for "two thousand five", two for "two and three"."""
    parser = _EnglishNumber()
    for step in _STEP.finditer(run):
        begin = step.start() + len(step["joint"])
        if not parser.add(step, begin):
            if (numeral := parser.numeral()) is not None:
                yield numeral
            parser = _EnglishNumber()
            parser.add(step, begin)
    if (numeral := parser.numeral()) is not None:
        yield numeral


class _EnglishNumber:
    """Parser of one English number, word by word."""

    def __init__(self) -> None:
        self._total, self._group, self._magnitude = Decimal(0), Decimal(0), Decimal(10**15)
        self._begin, self._end, self._form, self._last = -1, -1, "cardinal", ""

    def numeral(self) -> Numeral | None:
        """Returns the number so far; None if there was no word yet."""
        return None if self._begin < 0 else Numeral(self._begin, self._end, self._total + self._group, self._form)

    def add(self, step: re.Match[str], begin: int) -> bool:
        """Adds a word. Returns false if the word begins another number."""
        word, joint = (step["word"] or "").lower(), step["joint"].strip().lower()
        if self._form != "cardinal" or not self._fits(word, step["digits"], joint):
            return False
        self._begin, self._end = (begin if self._begin < 0 else self._begin), step.end()
        return True

    def _fits(self, word: str, digits: str | None, joint: str) -> bool:
        first = self._begin < 0
        if digits is not None:
            if not first or digits.count(".") > 1:
                return False
            self._group, self._last = decimal(digits), "digits"
            return True
        if word == "half":
            if not first and "and" not in joint:
                return False
            self._group += Decimal("0.5")
            self._form, self._last = ("half", "half") if first else ("cardinal", "half")
            return True
        if word in _MULTIPLIED:
            return self._multiply(word, first)
        value = _SMALL.get(word, _ORDINALS.get(word, _DECADES.get(word, 0)))
        after = {"": True, "tens": value < 10 and value > 0 and "and" not in joint, "large": True}
        if not (first or after.get(self._last, False)):
            return False
        self._group += value
        self._form = "ordinal" if word in _ORDINALS else "decade" if word in _DECADES else "cardinal"
        self._last = "tens" if value >= 20 else "ones"
        return True

    def _multiply(self, word: str, first: bool) -> bool:
        factor = Decimal(_MULTIPLIED[word])
        if word not in MAGNITUDES:
            if not first and (self._group == 0 or self._group >= 100):
                return False
            self._group = (self._group or 1) * factor
        else:
            if not first and (self._group == 0 or factor >= self._magnitude):
                return False
            self._total += (self._group or 1) * factor
            self._group, self._magnitude = Decimal(0), factor
        self._last = "large"
        return True


def read_korean(run: str) -> Numeral | None:
    """Returns the first number of a sequence of digits, Korean numerals and units; None if there is none."""
    total, section, digits = Decimal(0), Decimal(0), None  # a section is the part below 만
    large, small, end, before = Decimal(10**16), Decimal(10**4), 0, 0  # units have to decrease
    for step in _KOREAN_STEP.finditer(run):
        if step["digits"] or step["word"]:
            value = decimal(step["digits"]) if step["digits"] else Decimal(_KOREAN_DIGITS[step["word"]])
            if digits is not None or value >= large:
                break
            before, digits = end, value
        elif step["unit"]:
            unit = Decimal(_KOREAN_UNITS[step["unit"]])
            if unit >= (small if unit < 10**4 else large):
                end, digits = before, None  # the digits before the unit begin another number
                break
            if unit < 10**4:
                section, small = section + (1 if digits is None else digits) * unit, unit
            else:
                count = section + (digits or 0)
                total += (1 if digits is None and not section else count) * unit
                section, large, small = Decimal(0), unit, Decimal(10**4)
            digits = None
        else:
            continue
        end = step.end()
    return Numeral(0, end, total + section + (digits or 0), "cardinal") if end else None


def read_native(numeral: str) -> Decimal:
    """Returns the value of a match of `NATIVE`."""
    tens = next((word for word in _NATIVE_TENS if numeral.startswith(word)), "")
    return Decimal(_NATIVE_TENS.get(tens, 0) + _NATIVE_ONES.get(numeral[len(tens) :], 0))


def rounded(value: Decimal) -> str | None:
    """Returns a large round number as English writes it: "30 million", "1.2 billion". None for any other number."""
    for name, factor in reversed(MAGNITUDES.items()):
        if value >= factor and factor >= 10**6:
            count = value / factor
            return f"{count.normalize():f} {name}" if count == round(count, 2) else None
    return None


def ordinal(value: int) -> str:
    """Returns an English ordinal: 1st, 2nd, 3rd, 11th."""
    suffix = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{suffix}"
