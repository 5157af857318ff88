"""Numbers, months and times of day in a Korean or English line, compared by value instead of spelling.

An ambiguous quantity has several readings: 3시 is 3 a.m., 3 p.m. or the number 3. Two quantities are equal if they have
a reading in common.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from kotrans.text.numerals import (
    DIGITS,
    ENGLISH,
    KOREAN,
    NATIVE,
    decimal,
    ordinal,
    read_english,
    read_korean,
    read_native,
    rounded,
)

Kind = Literal["plain", "units", "ordinal", "month", "clock", "article"]
Reading = Decimal | str | tuple[str, int] | tuple[str, int, int]

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTH_OF = {name[:3]: n for n, name in enumerate(MONTHS, start=1)}
_SUFFIXES = {"k": 10**3, "m": 10**6, "bn": 10**9, "b": 10**9, "tn": 10**12}
# Short native numerals are recognized only before a counter: 두 명, but not 두루 and 세계.
_COUNTER = (
    "(?:명|사람|개|번|차례|살|시간|시|달|해|주|가지|배|마리|권|장|대|채|곳|군데|쌍|잔|병|분|팀|나라|국가|도시|아이|자녀|아들|딸|여성"
    "|남성|남자|여자|째|건|편|척|표|골|경기|세트|종류|단계|차|가운데|중)"
)
_SINO_COUNTER = "(?:원|달러|명|개|년|주년|세기|층|호|위|등|퍼센트|유로|엔|위안|파운드|톤|킬로|미터|배|대|여)"
_TIMES = {
    "noon": ((12, 0),), "midnight": ((0, 0),), "정오": ((12, 0),), "자정": ((0, 0),),
}  # fmt: skip
_COUNTS: dict[str, tuple[str, ...]] = {
    "a": ("1",), "an": ("1",), "once": ("1",), "single": ("1",), "sole": ("1",), "only": ("1",), "both": ("2",),
    "twice": ("2",), "double": ("2",), "doubled": ("2",), "couple": ("2",), "pair": ("2",), "triple": ("3",),
    "tripled": ("3",), "quarter": ("4", "0.25", "15"), "quarters": ("4",), "decade": ("10",), "decades": ("10",),
    "century": ("100",), "fortnight": ("2",), "teen": ("10",), "teens": ("10",), "teenage": ("10",),
    "teenager": ("10",), "teenagers": ("10",), "teenaged": ("10",),
}  # fmt: skip
_HALF = frozenset(map(Decimal, ("0.5", "2", "6", "30", "50")))  # half of an hour, of a year, in percent

_MONTH_NAMES = "|".join(f"{name[:3]}(?:{name[3:]}{'|t' if name[:3] == 'Sep' else ''})?" for name in MONTHS)
# In order of precedence. White space and word boundaries are those of ASCII.
_PATTERNS = {
    "date": r"(?<![\d.])(?:['’‘]\d\d|(?:19|20)\d\d)"
    r"(?:\. ?(?:1[0-2]|0?[1-9])\. ?|-(?:1[0-2]|0[1-9])-|/(?:1[0-2]|0?[1-9])/)"
    r"(?:3[01]|[12]\d|0?[1-9])(?![\d-]|\.\d)",
    "clock": r"(?:(?P<half>오전|오후|새벽|아침|저녁|밤|낮|점심) ?)?(?<![\d:.,])(?:"
    r"(?P<hour>\d\d?) ?시(?!간|즌|리즈|스템|장|민|청|도|험|집|트)(?: ?(?:(?P<minute>\d\d?) ?분|(?P<and_half>반)))?"
    r"|(?P<hours>[01]?\d|2[0-4]):(?P<minutes>[0-5]\d)(?::[0-5]\d)?(?![\d:])(?: ?(?P<noon>[AaPp])\.?[Mm]\b\.?)?"
    r"|(?P<hour_alone>\d\d?) ?(?:(?P<noon_alone>[AaPp])(?:\.[Mm]\.?|[Mm])(?![A-Za-z])|o['’]clock\b))",
    "month": r"(?<![\d.,])(?:1[0-2]|0?[1-9])월(?!요일)",
    "name": rf"\b(?:{_MONTH_NAMES})\b",
    "units": rf"(?<![\d.,제]){KOREAN}",
    "english": r"(?<![A-Za-z0-9_.,])(?i:(?:\ban? (?=hundred|dozen|thousand|million|billion|trillion))?"
    rf"{ENGLISH})(?![A-Za-z0-9_])",
    "digits": rf"(?<![A-Za-z_])(?<![0-9.])(?:{DIGITS}|(?<!\w)\.\d+)",
    "native": rf"(?<![가-힣]){NATIVE}(?= ?{_COUNTER})|(?<![가-힣])(?:셋|넷|다섯|여섯|일곱|여덟|아홉)(?![가-힣]{{3}})",
    "sino": r"(?<![가-힣])(?=[가-힣]{2})[일이삼사오육칠팔구]?[십백천][일이삼사오육칠팔구십백천만억조]*"
    rf"(?= ?{_SINO_COUNTER})|(?<![가-힣])(?:[십백천]만|[십백천]억)(?!에|의)",
    "roman": r"(?<![A-Za-z0-9_.-])(?=[IVX]{2})X{0,2}(?:I[VX]|V?I{0,3})(?![A-Za-z0-9_.-])",
    "word": rf"(?<![A-Za-z0-9_'’-])(?:{'|'.join([*_TIMES, *_COUNTS])})(?![A-Za-z0-9_-])",
}
_KOREAN_ONLY = ("month", "units", "native", "sino")


def _compiled(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{_PATTERNS[name]})" for name in names), re.ASCII)


_QUANTITY = _compiled(_PATTERNS)
_IN_ENGLISH = _compiled(name for name in _PATTERNS if name not in _KOREAN_ONLY)
_HANGUL = re.compile("[가-힣]")
_RANGE = re.compile(r" ?[~∼〜～-] ?([0-9]+여?[십백천만억조]+)")
_MONTH_AND_DAY = re.compile(r"[/·•](?:3[01]|[12][0-9]|0?[1-9])(?![0-9/·•])")
_ROMAN = {"I": 1, "V": 5, "X": 10}
_DIGITS = re.compile(DIGITS)
_DATE_PART = re.compile("[0-9]+")
_ARTICLE = re.compile("an? (?=[a-z])", re.IGNORECASE)


class Quantity(NamedTuple):
    """A number, month or time of day in a line."""

    text: str
    """The spelling in the line."""
    begin: int
    """Index of its first character."""
    end: int
    """One past its last character."""
    readings: frozenset[Reading]
    """The possible values."""
    kind: Kind
    """`units` has a factor in words, such as 3만 or "3 million"; `article` is "a", which may mean 1."""
    in_digits: bool
    """Whether it contains digits or names a month."""
    value: Decimal | None = None
    """The number, of `units`, ordinals and plain digits."""


def quantities(line: str) -> list[Quantity]:
    """Returns the quantities of a line in order. Digits have to be ASCII."""
    found: list[Quantity] = []
    for match in (_QUANTITY if _HANGUL.search(line) else _IN_ENGLISH).finditer(line):
        found += _READERS[match.lastgroup or ""](match, line)
    return found


def english_form(quantity: Quantity, over: Quantity | None = None) -> str:
    """Returns the English form of a quantity: "30,000", "September", "3 p.m.", "3rd".

    over: the quantity of the translation that it replaces; an ordinal is replaced by an ordinal.
    """
    if quantity.kind == "month":
        return MONTHS[next(reading[1] for reading in quantity.readings if isinstance(reading, tuple)) - 1]
    if quantity.kind == "clock":
        return _time(quantity)
    if quantity.kind == "units" and quantity.value is not None:
        value = quantity.value
        return rounded(value) or (f"{int(value):,}" if value == int(value) else f"{value.normalize():,f}")
    if over is not None and over.kind == "ordinal" and quantity.text.isdecimal():
        return ordinal(int(quantity.text))
    return re.sub("(?<=[0-9])(?:st|nd|rd|th)$", "", quantity.text) if over and over.kind != "ordinal" else quantity.text


def _time(quantity: Quantity) -> str:
    """Returns a time in digits unchanged, and one with Korean words as "3 p.m.", "3:30" or "3 o'clock"."""
    if ":" in quantity.text and not re.search("[가-힣]", quantity.text):
        return quantity.text
    times = sorted(reading for reading in quantity.readings if isinstance(reading, tuple) and len(reading) == 3)
    _, hour, minute = times[0]
    shown = f"{hour % 12 or 12}" + (f":{minute:02}" if minute else "")
    if len(times) > 1:
        return shown if minute else f"{shown} o'clock"
    return f"{shown} {'p' if hour >= 12 else 'a'}.m."


def _read_date(match: re.Match[str], line: str) -> Iterator[Quantity]:
    for index, part in enumerate(_DATE_PART.finditer(match[0])):  # year, month, day
        value = int(part[0])
        readings: set[Reading] = {Decimal(value)}
        if index == 0 and value < 100:
            readings |= {Decimal(1900 + value), Decimal(2000 + value)}
        if index == 1:
            readings.add(("month", value))
        begin = match.start() + part.start()
        kind: Kind = "month" if index == 1 else "plain"
        yield Quantity(part[0], begin, begin + len(part[0]), frozenset(readings), kind, in_digits=True)


def _read_clock(match: re.Match[str], line: str) -> Iterator[Quantity]:
    hour = int(match["hour"] or match["hours"] or match["hour_alone"])
    minute = 30 if match["and_half"] else int(match["minute"] or match["minutes"] or 0)
    noon = (match["noon"] or match["noon_alone"] or "").lower()
    if hour > 24 or minute > 59:
        number = match["hour"] or match["hours"] or match["hour_alone"]
        begin = match.start() + match[0].index(number)
        yield Quantity(number, begin, begin + len(number), frozenset([Decimal(hour)]), "plain", in_digits=True)
        return
    readings: set[Reading] = {
        ("time", each, minute) for each in _hours(hour, match["half"] or {"a": "오전", "p": "오후"}.get(noon))
    }
    if match["hour"] and not minute:
        readings.add(Decimal(hour))
    yield Quantity(match[0], match.start(), match.end(), frozenset(readings), "clock", in_digits=True)


def _hours(hour: int, half: str | None) -> set[int]:
    """Returns the possible hours from 0 to 23: two, unless the half of the day is given."""
    if hour > 12 or hour == 0:
        return {hour % 24}
    early, late = hour % 12, hour % 12 + 12
    if half is None:
        return {early, late}
    if half == "밤":  # 밤 9시 is 9 p.m., 밤 1시 is 1 a.m.
        return {late if early > 5 else early}
    if half in ("낮", "점심"):  # 낮 11시 is 11 a.m., 낮 1시 is 1 p.m.
        return {early if early > 9 else late}
    return {early if half in ("오전", "새벽", "아침") else late}


def _read_month(match: re.Match[str], line: str) -> Iterator[Quantity]:
    month = int(match[0][:-1])
    yield _of(match, {Decimal(month), ("month", month)}, "month")


def _read_name(match: re.Match[str], line: str) -> Iterator[Quantity]:
    yield _of(match, {("month", _MONTH_OF[match[0][:3]])}, "month")


def _read_units(match: re.Match[str], line: str) -> Iterator[Quantity]:
    numeral = read_korean(match[0])
    if numeral is None:  # too many digits for a number with a unit
        digits = _DIGITS.match(line, match.start())
        if digits is not None:
            yield _of(digits, {digits[0].replace(",", "")})
        return
    begin, end, value = match.start(), match.start() + numeral.end, numeral.value
    yield Quantity(line[begin:end], begin, end, frozenset([value]), "units", in_digits=True, value=value)
    rest = line[end : match.end()]
    if rest.strip():
        for quantity in quantities(rest):
            yield quantity._replace(begin=quantity.begin + end, end=quantity.end + end)


def _read_english(match: re.Match[str], line: str) -> Iterator[Quantity]:
    article = _ARTICLE.match(match[0])
    before = article.end() if article else 0
    for numeral in read_english(match[0][before:]):
        begin, end = numeral.begin + before if numeral.begin else 0, numeral.end + before
        text, value = match[0][begin:end], numeral.value
        readings: set[Reading] = {value}
        if numeral.form == "half":
            readings |= _HALF
        if numeral.form == "decade":
            readings.add(1900 + value)
        kind: Kind = "ordinal" if numeral.form == "ordinal" else "units" if value >= 100 else "plain"
        digits = any(map(str.isdigit, text))
        begin += match.start()
        yield Quantity(text, begin, begin + len(text), frozenset(readings), kind, digits, value)


def _read_digits(match: re.Match[str], line: str) -> Iterator[Quantity]:
    text, end = match[0], match.end()
    bare = text.replace(",", "")
    if bare.count(".") > 1 or (len(bare) > 2 and bare[0] == "0" and bare[1] != ".") or bare == "00":
        yield _of(match, {bare})
        return
    value = decimal(bare)
    # Trailing zeros matter in versions (3.10 is not 3.1), but not in amounts ($1.50 is 1.5 dollars).
    is_amount = (
        re.match(r" ?(?:%|달러|유로|퍼센트|percent)", line[end : end + 9])
        or line[match.start() - 1 : match.start()] in ("$", "€", "£")
    )  # fmt: skip
    readings: set[Reading] = {bare} if "." in bare and bare.endswith("0") and not is_amount else {value}
    kind: Kind = "plain"
    follows = line[end : end + 6]
    if suffix := re.match(r"(?:st|nd|rd|th)(?![A-Za-z0-9_])", follows):
        kind, end = "ordinal", end + len(suffix[0])
    elif (suffix := re.match("(?:[kKmMbB]|bn|tn)(?![A-Za-z0-9_])", follows)) and value < 10**4:
        readings.add(value * _SUFFIXES[suffix[0].lower()])
    elif follows.startswith("년대") and value < 100:
        readings.add(1900 + value)
    elif value <= 12 and _MONTH_AND_DAY.match(line, end):
        readings.add(("month", int(value)))
    elif upper := _RANGE.match(line, end):  # 2~3만: the unit applies to both numbers
        unit = read_korean("1" + upper[1].lstrip("0123456789여"))
        if read_korean(upper[1]) and unit and value < 10**4:
            readings.add(value * unit.value)
    text = line[match.start() : end]
    yield Quantity(text, match.start(), end, frozenset(readings), kind, in_digits=True, value=value)


def _read_native(match: re.Match[str], line: str) -> Iterator[Quantity]:
    yield _of(match, {read_native(match[0])}, in_digits=False)


def _read_sino(match: re.Match[str], line: str) -> Iterator[Quantity]:
    if (numeral := read_korean(match[0])) is not None:
        yield _of(match, {numeral.value}, "units", in_digits=False)


def _read_roman(match: re.Match[str], line: str) -> Iterator[Quantity]:
    values = [_ROMAN[letter] for letter in match[0]]
    value = sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))
    yield _of(match, {Decimal(value)}, in_digits=False)


def _read_word(match: re.Match[str], line: str) -> Iterator[Quantity]:
    word = match[0]
    times: Sequence[Reading] = [("time", *time) for time in _TIMES.get(word, ())]
    counts = [Decimal(count) for count in _COUNTS.get(word, ())]
    yield _of(match, {*times, *counts}, "article" if word in ("a", "an") else "plain", in_digits=False)


def _of(match: re.Match[str], readings: set[Reading], kind: Kind = "plain", *, in_digits: bool = True) -> Quantity:
    return Quantity(match[0], *match.span(), frozenset(readings), kind, in_digits)


_READERS = {
    "date": _read_date, "month": _read_month, "name": _read_name, "units": _read_units, "english": _read_english,
    "digits": _read_digits, "native": _read_native, "sino": _read_sino, "roman": _read_roman,
    "word": _read_word, "clock": _read_clock,
}  # fmt: skip
