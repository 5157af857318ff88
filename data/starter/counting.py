"""Numbers in words: native and Sino-Korean readings, and English."""

NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
# The forms before a counter: 한 개, 두 명, 스무 살, but 스물한 살.
BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네"}
SINO_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
SINO_UNITS = ((1000, "천"), (100, "백"), (10, "십"))

ENGLISH_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
ENGLISH_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ENGLISH_ORDINALS = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]


def native(number: int) -> str:
    """Reads 1 to 99 in native words without a counter: 하나, 스물, 스물하나."""
    if not 0 < number < 100:
        raise ValueError(f"native Korean numbers run from 1 to 99, not {number}")
    return NATIVE_TENS[number // 10] + NATIVE_ONES[number % 10]


def native_counting(number: int) -> str:
    """Reads 1 to 99 in native words before a counter: 한, 두, 스무, 스물한."""
    if number == 20:
        return "스무"
    ones = NATIVE_ONES[number % 10]
    return native(number)[: -len(ones) or None] + BEFORE_COUNTER.get(ones, ones)


def sino(number: int) -> str:
    """Reads 1 to 99,999,999 in Sino-Korean words, a space after 만: 삼만 오천."""
    high, low = divmod(number, 10_000)
    words = [] if high == 0 else ["만" if high == 1 else f"{_sino_below_ten_thousand(high)}만"]
    if low:
        words.append(_sino_below_ten_thousand(low))
    return " ".join(words)


def _sino_below_ten_thousand(number: int) -> str:
    reading = ""
    for unit, name in SINO_UNITS:
        digit, number = divmod(number, unit)
        if digit:
            reading += ("" if digit == 1 else SINO_DIGITS[digit]) + name
    return reading + SINO_DIGITS[number]


def english(number: int) -> str:
    """Reads 0 to 999,999 in English words."""
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        return f"{english(thousands)} thousand" + (f" {english(rest)}" if rest else "")
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        return f"{ENGLISH_SMALL[hundreds]} hundred" + (f" {english(rest)}" if rest else "")
    if number < 20:
        return ENGLISH_SMALL[number]
    tens, ones = divmod(number, 10)
    return ENGLISH_TENS[tens] + (f"-{ENGLISH_SMALL[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """Returns the English ordinal of 1 to 10."""
    return ENGLISH_ORDINALS[number]
