"""Time words with the tense and kind of event that they fit."""

from dataclasses import dataclass
from random import Random

from counting import english as number_word
from counting import native_counting
from endings import Tense
from english import MONTHS, WEEKDAYS


@dataclass(frozen=True)
class TimeWord:
    """A time in both languages; adverb is English next to the verb, part is true for a part of the day,
    precise for an hour or a date."""

    ko: str
    en: str
    adverb: str = ""
    part: bool = False
    precise: bool = False


KOREAN_WEEKDAYS = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")
FREQUENCIES = (
    *(
        TimeWord(ko, "", en)
        for ko, en in (("자주", "often"), ("가끔", "sometimes"), ("항상", "always"), ("보통", "usually"))
    ),
    TimeWord("매일", "every day"),
    TimeWord("매일", "every day"),
    TimeWord("주말마다", "every weekend"),
    TimeWord("아침마다", "every morning", part=True),
    TimeWord("저녁마다", "every evening", part=True),
)
PAST_DAYS = (
    TimeWord("어제", "yesterday"),
    TimeWord("어제", "yesterday"),
    TimeWord("그저께", "the day before yesterday"),
    TimeWord("지난주에", "last week"),
    TimeWord("지난 주말에", "last weekend"),
    TimeWord("오늘 아침에", "this morning", part=True),
    TimeWord("어제 저녁에", "yesterday evening", part=True),
    TimeWord("어제 아침에", "yesterday morning", part=True),
)
FUTURE_DAYS = (
    TimeWord("내일", "tomorrow"),
    TimeWord("내일", "tomorrow"),
    TimeWord("모레", "the day after tomorrow"),
    TimeWord("다음 주에", "next week"),
    TimeWord("이번 주말에", "this weekend"),
    TimeWord("오늘 저녁에", "this evening", part=True),
    TimeWord("내일 저녁에", "tomorrow evening", part=True),
    TimeWord("내일 아침에", "tomorrow morning", part=True),
)
PAST_YEARS = (
    TimeWord("작년에", "last year"),
    TimeWord("지난달에", "last month"),
    TimeWord("재작년에", "the year before last"),
)
FUTURE_YEARS = (TimeWord("내년에", "next year"), TimeWord("다음 달에", "next month"))


def clock(rng: Random) -> tuple[str, str, str]:
    """Returns a daytime hour in Korean, in English, and the part of the day ("morning" or "afternoon")."""
    hour = rng.choice((7, 8, 9, 10, 11, 1, 2, 3, 4, 5))
    part_ko, part_en = ("오전", "morning") if hour >= 7 else ("오후", "afternoon")
    half = rng.random() < 0.3
    korean = f"{part_ko} {native_counting(hour)} 시{' 반' if half else ''}"
    return korean, f"{'half past ' if half else ''}{number_word(hour)}", part_en


def clock_time(rng: Random, tense: Tense) -> TimeWord:
    """Returns an hour on a day that fits the tense: at nine yesterday morning, at two in the afternoon every day."""
    korean, hour, part = clock(rng)
    if tense is Tense.PRESENT:
        return TimeWord(f"매일 {korean}에", f"at {hour} every {part}", part=True, precise=True)
    day_ko, day_en = ("어제", "yesterday") if tense is Tense.PAST else ("내일", "tomorrow")
    if rng.random() < 0.5:
        return TimeWord(f"{day_ko} {korean}에", f"at {hour} {day_en} {part}", part=True, precise=True)
    return TimeWord(f"{korean}에", f"at {hour} in the {part}", part=True, precise=True)


def weekday_time(rng: Random, tense: Tense) -> TimeWord:
    """Returns a day of the week that fits the tense."""
    day = rng.randrange(7)
    ko, en = KOREAN_WEEKDAYS[day], WEEKDAYS[day]
    if tense is Tense.PRESENT:
        return TimeWord(f"{ko}마다", f"every {en}")
    if rng.random() < 0.5:
        return TimeWord(f"{ko}에", f"on {en}")
    return TimeWord(f"지난 {ko}에", f"last {en}") if tense is Tense.PAST else TimeWord(f"다음 {ko}에", f"next {en}")


def date(rng: Random) -> tuple[str, str]:
    """Returns a date in both languages: 3월 5일, March 5."""
    month, day = rng.randint(1, 12), rng.randint(1, 28)
    return f"{month}월 {day}일", f"{MONTHS[month - 1]} {day}"


def date_time(rng: Random) -> TimeWord:
    """Returns a date as a time."""
    ko, en = date(rng)
    return TimeWord(f"{ko}에", f"on {en}", precise=True)


def day_time(rng: Random, tense: Tense) -> TimeWord:
    """Returns a time within days that fits the tense; the habitual present has a frequency."""
    chance = rng.random()
    if chance < 0.15:
        return clock_time(rng, tense)
    if chance < 0.3:
        return weekday_time(rng, tense)
    if tense is Tense.PRESENT:
        return rng.choice(FREQUENCIES)
    if chance < 0.36:
        return date_time(rng)
    return rng.choice(PAST_DAYS if tense is Tense.PAST else FUTURE_DAYS)


def year_time(rng: Random, tense: Tense) -> TimeWord:
    """Returns a time of months or years, for a life event."""
    return rng.choice(PAST_YEARS if tense is Tense.PAST else FUTURE_YEARS)


def week_time(rng: Random, tense: Tense) -> TimeWord:
    """Returns a time of weeks or months, for a trip."""
    week = TimeWord("지난주에", "last week") if tense is Tense.PAST else TimeWord("다음 주에", "next week")
    return week if rng.random() < 0.4 else year_time(rng, tense)
