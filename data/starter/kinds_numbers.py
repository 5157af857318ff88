"""Sentences about numbers: counting, ages, prices, dates, hours, floors; and about the weather."""

from clauses import Clause, Pair, said
from conjugation import Kind, Stem
from counting import english as number_word
from counting import native, native_counting, ordinal, sino
from endings import Style, Tense, statement
from english import WEEKDAYS, Agreement, sentence
from hangul import with_particle
from kinds_describing import being
from lexicon import Person, nouns_in, people, places_in
from phrases import EXIST, Phrase, Spoken, preceded
from scene import Scene
from timewords import KOREAN_WEEKDAYS, clock, date

SUN = (("날씨가", "좋", "", "the weather", "good"), ("날씨가", "춥", "ㅂ", "the weather", "cold"),
       ("날씨가", "덥", "ㅂ", "the weather", "hot"), ("날씨가", "따뜻하", "", "the weather", "warm"),
       ("날씨가", "나쁘", "", "the weather", "bad"), ("날씨가", "시원하", "", "the weather", "cool"),
       ("바람이", "강하", "", "the wind", "strong"))  # fmt: skip
FALLING = (("비가", "오", "it", "rain"), ("눈이", "오", "it", "snow"))
WEATHER_DAYS = {
    Tense.PRESENT: (("오늘은", "today"), ("지금", "now")),
    Tense.PAST: (
        ("어제는", "yesterday"),
        ("지난주에는", "last week"),
        ("어제 아침에는", "yesterday morning"),
        ("지난 주말에는", "last weekend"),
    ),
    Tense.FUTURE: (("내일은", "tomorrow"), ("모레는", "the day after tomorrow"), ("이번 주말에는", "this weekend")),
}
COUNTED_PEOPLE = (
    ("학생", "student", "명"),
    ("아이", "child", "명"),
    ("손님", "guest", "분"),
    ("친구", "friend", "명"),
    ("선생님", "teacher", "분"),
)


def _words(style: Style, subject: str, stem: Stem, english: str, tense: Tense = Tense.PRESENT) -> Pair:
    return Pair(f"{subject} {statement(stem, style, tense)}.", sentence(english))


def weather(scene: Scene) -> Pair:
    """어제는 비가 왔어요. 오늘은 날씨가 좋아요."""
    tense = scene.rng.choice((Tense.PRESENT, Tense.PAST, Tense.FUTURE))
    day_ko, day_en = scene.rng.choice(WEATHER_DAYS[tense])
    what = weather_clause(scene, tense)
    return Pair(f"{day_ko} {what.who.ko} {what.statement(scene.style)}.", sentence(f"{what.english()} {day_en}"))


def weather_clause(scene: Scene, tense: Tense, good: bool | None = None, degree: bool = True) -> Clause:
    """Returns a clause about the weather; its subject includes the particle. `good` limits the choice."""
    suits = [row for row in SUN if good is None or good == (row[4] in ("good", "warm", "cool"))]
    if good is not True and scene.chance(0.35):
        ko, stem, pronoun, verb = scene.rng.choice(FALLING)
        who = Person(ko, pronoun, "-", "", frozenset())
        if tense is Tense.PRESENT:
            spoken = Spoken(f"{stem}고", EXIST)
            return Clause(who, Phrase(spoken, spoken, "be", f"{verb}ing", "no"), tense)
        spoken = Spoken("", Stem(stem))
        return Clause(who, Phrase(spoken, spoken, verb, ""), tense)
    ko, text, group, en, adjective = scene.rng.choice(suits)
    ko_degree, en_degree = (
        scene.rng.choice((("", ""), ("", ""), ("아주", "very "), ("정말", "really "))) if degree else ("", "")
    )
    spoken = Spoken(ko_degree, Stem(text, group, Kind.ADJECTIVE))
    return Clause(
        Person(ko, en, "-", "", frozenset()), Phrase(spoken, spoken, "be", en_degree + adjective, "no"), tense
    )


def age(scene: Scene) -> Pair:
    """제 여동생은 스무 살이에요. 할머니께서는 연세가 일흔이세요."""
    who = scene.subject(lambda person: not person.agreement.plural and person.en not in ("the boss", "the teacher"))
    if who.agreement.plural:
        return price(scene)
    low, high = (
        (60, 90)
        if "old" in who.roles
        else (40, 58)
        if who.elder
        else (4, 12)
        if who.en == "the child"
        else (13, 19)
        if who.en == "the student"
        else (4, 19)
        if "young" in who.roles
        else (18, 39)
    )
    years = scene.rng.randint(low, high)
    complement = f"{native_counting(years)} 살"
    if who.elder:
        complement = f"연세가 {native(years)}"
    return said(Clause(who, being(complement, f"{number_word(years)} years old", False)), scene.style)


def price(scene: Scene) -> Pair:
    """이 가방은 삼만 원이에요."""
    noun = scene.rng.choice(
        nouns_in("shopping", "clothing", "shoes", "machine", "text", "baked", "menu", "cafe", "ticket")
    )
    low, high, step = (1, 9, 1000)
    if noun.classes & {"shopping", "clothing", "shoes", "ticket", "text"}:
        low, high, step = 1, 9, 10_000
    if noun.classes & {"machine"}:
        low, high, step = 20, 99, 10_000
    won = scene.rng.randint(low, high) * step + (
        scene.rng.choice((0, 0, 500)) if step == 1000 else scene.rng.choice((0, 5000))
    )
    what = Person(f"이 {noun.ko}", noun.pointed(near=True), "-", "", frozenset(), noun.agreement)
    spoken = Spoken(sino(won), Stem("원", "이다", Kind.COPULA))
    return said(Clause(what, Phrase(spoken, spoken, "cost", f"{number_word(won)} won", "no")), scene.style)


def day(scene: Scene) -> Pair:
    """오늘은 3월 5일이에요. 제 생일은 10월 2일이에요. 내일은 금요일이에요."""
    index = scene.rng.randrange(7)
    day_ko, day_en = date(scene.rng)
    if scene.chance(0.4):
        word, english, tense = scene.rng.choice(
            (
                ("오늘은", "today is", Tense.PRESENT),
                ("내일은", "tomorrow is", Tense.PRESENT),
                ("어제는", "yesterday was", Tense.PAST),
            )
        )
        weekday = scene.chance(0.4)
        ko, en = (KOREAN_WEEKDAYS[index], WEEKDAYS[index]) if weekday else (day_ko, day_en)
        return _words(scene.style, word, Stem(ko, "이다", Kind.COPULA), f"{english} {en}", tense)
    if scene.chance(0.3):
        ko, en = scene.rng.choice(
            (("시험은", "the test is on"), ("회의는", "the meeting is on"), ("파티는", "the party is on"))
        )
        return _words(scene.style, ko, Stem(day_ko, "이다", Kind.COPULA), f"{en} {day_en}")
    who = scene.third(lambda person: not person.agreement.plural and not person.elder)
    if scene.chance(0.3):
        korean = "제 생일은" if scene.style.humble else "내 생일은"
        return _words(scene.style, korean, Stem(day_ko, "이다", Kind.COPULA), f"my birthday is {day_en}")
    return _words(
        scene.style, f"{who.ko} 생일은", Stem(day_ko, "이다", Kind.COPULA), f"{who.en}'s birthday is {day_en}"
    )


def hour(scene: Scene) -> Pair:
    """지금은 오후 두 시 반이에요. 수업은 오전 아홉 시에 시작해요."""
    korean, english, part = clock(scene.rng)
    if scene.chance(0.4):
        before, _, last = korean.rpartition(" ")
        return _words(
            scene.style, f"지금은 {before}", Stem(last, "이다", Kind.COPULA), f"it is {english} in the {part} now"
        )
    what_ko, what_en = scene.rng.choice(
        (
            ("수업", "the class"),
            ("회의", "the meeting"),
            ("영화", "the movie"),
            ("시험", "the test"),
            ("공연", "the show"),
            ("파티", "the party"),
        )
    )
    verb_ko, verb_en = scene.rng.choice((("시작하", "start"), ("끝나", "end")))
    tense, day_ko, day_en = scene.rng.choice(
        ((Tense.PRESENT, "", ""), (Tense.FUTURE, "내일 ", "tomorrow"), (Tense.PAST, "어제 ", "yesterday"))
    )
    spoken = Spoken(f"{day_ko}{korean}에", Stem(verb_ko))
    rest = f"at {english} in the {part}" if not day_en else f"at {english} {day_en} {part}"
    who = Person(what_ko, what_en, "-", "", frozenset())
    return said(Clause(who, Phrase(spoken, spoken, verb_en, rest), tense), scene.style)


def floor(scene: Scene) -> Pair:
    """카페는 이 건물 3층에 있어요."""
    place = scene.rng.choice(
        places_in("도서관", "식당", "카페", "가게", "서점", "빵집", "약국", "은행", "체육관", "회사", "교실")
    )
    number = scene.rng.randint(1, 10)
    written = f"{number}층" if number == 2 or scene.chance(0.5) else f"{sino(number)} 층"
    spoken = Spoken(f"{written}에", EXIST)
    who = Person(place.ko, place.en, "-", "", frozenset())
    return said(Clause(who, Phrase(spoken, spoken, "be", f"on the {ordinal(number)} floor", "no")), scene.style)


def bus(scene: Scene) -> Pair:
    """저는 매일 12번 버스를 타요."""
    who = scene.subject()
    number = scene.rng.randint(2, 99)
    tense = scene.rng.choice((Tense.PRESENT, Tense.PAST, Tense.FUTURE))
    time_ko, time_en = {
        Tense.PRESENT: ("매일", "every day"),
        Tense.PAST: ("어제", "yesterday"),
        Tense.FUTURE: ("내일", "tomorrow"),
    }[tense]
    stem = Stem("타")
    phrase = Phrase(
        Spoken(f"{number}번 버스를", stem),
        Spoken(f"{number}번 버스를", Stem("타시", "시")),
        "take",
        f"bus number {number}",
    )
    return said(Clause(who, preceded(phrase, time_ko, time_en), tense), scene.style)


def gathering(scene: Scene) -> Pair:
    """교실에 학생 다섯 명이 있어요. 카페에 손님 세 분이 계세요."""
    ko, en, counter = scene.rng.choice(COUNTED_PEOPLE)
    if en == "guest":
        place = scene.rng.choice(places_in("식당", "카페", "가게", "호텔", "거실"))
    else:
        place = scene.rng.choice(places_in("학교", "공원", "도서관", "교실", "운동장"))
    number = scene.rng.randint(1, 12)
    english = f"{number_word(number)} {en if number == 1 else ENGLISH_PLURALS.get(en, en + 's')}"
    tense = Tense.PRESENT if scene.chance(0.7) else Tense.PAST
    stem = Spoken("", Stem("계시", "시") if counter == "분" else EXIST)
    there = Person("", "there", "-", "", frozenset(), Agreement(3, number > 1))
    clause = Clause(there, Phrase(stem, stem, "be", f"{english} {place.at}", "no"), tense)
    crowd = with_particle(f"{ko} {native_counting(number)} {counter}", "이")
    return Pair(f"{place.ko}에 {crowd} {clause.statement(scene.style)}.", sentence(clause.english()))


ENGLISH_PLURALS = {"child": "children"}


FAMILY_NAMES = (("김", "Kim"), ("이", "Lee"), ("박", "Park"), ("최", "Choi"), ("정", "Jeong"))


def name(scene: Scene) -> Pair:
    """저는 김지민이에요. 제 이름은 김지민이에요. 선생님 성함은 박현우입니다."""
    given = scene.rng.choice([person for person in people() if "name" in person.roles])
    family_ko, family_en = scene.rng.choice(FAMILY_NAMES)
    ko, en = f"{family_ko}{given.ko}", f"{family_en} {given.en}"
    mine = "제" if scene.style.humble else "내"
    if scene.chance(0.4):
        me = "저는" if scene.style.humble else "나는"
        return _words(scene.style, me, Stem(ko, "이다", Kind.COPULA), f"I am {en}")
    whose = scene.rng.choice((
        (f"{mine} 이름", "my name"), (f"{mine} 친구 이름", "my friend's name"), ("선생님 성함", "the teacher's name"),
        ("사장님 성함", "the boss's name"),
    ))  # fmt: skip
    return _words(scene.style, with_particle(whose[0], "은"), Stem(ko, "이다", Kind.COPULA), f"{whose[1]} is {en}")


def home(scene: Scene) -> Pair:
    """선생님 댁은 서울에 있어요. 지민 씨 집은 부산에 있어요."""
    owner = scene.third(lambda person: "name" in person.roles or person.en in ("the teacher", "the boss"))
    city = scene.rng.choice(places_in("city", "country"))
    place = Person(f"{owner.ko} {'댁' if owner.elder else '집'}", f"{owner.en}'s house", "-", "", frozenset())
    spoken = Spoken(f"{city.ko}에", EXIST)
    return said(Clause(place, Phrase(spoken, spoken, "be", city.at, "no")), scene.style)
