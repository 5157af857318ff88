"""Sentences about identity, possession, qualities, existence and location."""

from clauses import Clause, Pair, said, together
from conjugation import Kind, Stem
from endings import Tense
from english import Agreement, sentence, with_article
from hangul import with_particle
from kinds_simple import asked, asked_about, hearer
from lexicon import Adjective, Noun, Person, adjectives, nouns_in, places_in
from phrases import EXIST, LACK, Phrase, Spoken, honor_of, negated, preceded
from quantities import some_of
from scene import Scene, before_noun

DEGREES = (("아주", "very"), ("정말", "really"), ("매우", "very"), ("너무", "so"), ("조금", "a little"))
# Things that somebody can have much or little of.
EXCESSIVE = (
    "big", "small", "spicy", "hot", "sweet", "expensive", "heavy", "long", "short", "thick", "thin", "slow",
    "difficult", "dirty", "noisy", "dark", "busy", "tired", "cold", "bored", "sad",
)  # fmt: skip
JOBS = (
    ("학생", "student"), ("의사", "doctor"), ("간호사", "nurse"), ("요리사", "cook"), ("가수", "singer"),
    ("배우", "actor"), ("경찰관", "police officer"), ("회사원", "office worker"), ("운동선수", "athlete"),
    ("작가", "writer"), ("변호사", "lawyer"), ("대학생", "college student"), ("기자", "reporter"),
)  # fmt: skip
HALLS = ("학교", "도서관", "공원", "식당", "카페", "시장", "교실", "방", "부엌", "거실", "호텔", "사무실")
SPOTS = (("위", "on"), ("아래", "under"), ("옆", "next to"))
RELATIVES = ("남동생", "여동생")
BELONGINGS = ("ownable", "shoes", "clothing", "hat", "carry")


def quality(scene: Scene, adjective: Adjective, degree: bool = True) -> Phrase:
    """Returns the adjective as a phrase, sometimes with 아주 or 조금."""
    head, rest = "be", adjective.en
    if adjective.en.startswith(("be ", "have ")):
        head, _, rest = adjective.en.partition(" ")
    before = adjective.before
    if degree and not before and scene.chance(0.4):
        ko, en = scene.rng.choice(DEGREES if adjective.en in EXCESSIVE else DEGREES[:3])
        before, rest = ko, f"{en} {rest}"
    short = "before" if "short" in adjective.flags and not before else "no"
    return Phrase(Spoken(before, adjective.stem), Spoken(before, adjective.honor), head, rest, short)


def maybe_not(scene: Scene, phrase: Phrase, probability: float = 0.2) -> Phrase:
    """Sometimes negates a phrase, unless it has a degree word."""
    degree = any(phrase.plain.before == ko for ko, _ in DEGREES)
    return phrase if degree or not scene.chance(probability) else negated(phrase, scene.chance(0.5))


def thing(noun: Noun, ko: str, en: str) -> Person:
    """Returns a thing as the subject of a clause."""
    return Person(ko, en, "-", "", frozenset(), noun.agreement)


def a_thing(scene: Scene, *classes: str) -> tuple[Noun, Person]:
    """Returns this, that or somebody's thing of one of the classes."""
    noun = scene.rng.choice(nouns_in(*classes))
    if "subject" in noun.classes:
        return noun, thing(noun, noun.ko, noun.en)
    if noun.classes & set(BELONGINGS) and scene.chance(0.45):
        if scene.chance(0.35):
            ko = "제" if scene.style.humble else "내"
            return noun, thing(noun, f"{ko} {noun.ko}", f"my {noun.en}")
        owner = scene.third(
            lambda person: "name" in person.roles or person.en in ("the teacher", "my mother", "my father")
        )
        return noun, thing(noun, f"{owner.ko} {noun.ko}", f"{owner.en}'s {noun.en}")
    near = scene.chance(0.6)
    return noun, thing(noun, f"{'이' if near else '그'} {noun.ko}", noun.pointed(near))


def thing_quality(scene: Scene) -> Pair:
    """이 가방은 아주 비싸요. 지민 씨 모자는 빨갛지 않아요."""
    return said(thing_quality_clause(scene), scene.style)


def thing_quality_clause(scene: Scene) -> Clause:
    """Returns a clause about a quality of a thing."""
    found = [a for a in adjectives() if not a.describes & {"person", "hall"} and nouns_in(*a.describes)]
    adjective = scene.rng.choice(found)
    _, what = a_thing(scene, *adjective.describes)
    phrase = maybe_not(scene, quality(scene, adjective, "color" not in adjective.flags))
    return Clause(what, phrase, Tense.PRESENT if scene.chance(0.85) else Tense.PAST)


def hall_quality(scene: Scene) -> Pair:
    """그 식당은 어제 너무 시끄러웠어요."""
    adjective = scene.rng.choice([a for a in adjectives() if "hall" in a.describes])
    place = scene.rng.choice(places_in(*HALLS))
    near = scene.chance(0.6)
    bare = place.en.removeprefix("the ")
    what = Person(f"{'이' if near else '그'} {place.ko}", f"{'this' if near else 'that'} {bare}", "-", "", frozenset())
    tense = Tense.PRESENT if scene.chance(0.75) else Tense.PAST
    return said(Clause(what, maybe_not(scene, quality(scene, adjective)), tense), scene.style)


def person_quality_clause(scene: Scene, who: Person, degree: bool = True) -> Clause:
    """Returns a clause about the state of somebody; feelings only in the first person."""
    first = who.agreement.person < 3
    found = [a for a in adjectives() if "person" in a.describes and (first or "feel" not in a.flags)]
    # Speakers do not praise themselves.
    found = [a for a in found if not (first and "degree" in a.flags and not a.before)]
    adjective = scene.rng.choice(found)
    phrase = maybe_not(scene, quality(scene, adjective, degree))
    passing = not adjective.flags & {"degree"}
    if passing and scene.chance(0.5):
        ko, en, tense = scene.rng.choice(
            (("오늘", "today", Tense.PRESENT), ("어제", "yesterday", Tense.PAST), ("지금", "now", Tense.PRESENT))
        )
        return Clause(who, preceded(phrase, ko, en), tense)
    return Clause(who, phrase, Tense.PRESENT)


def person_quality(scene: Scene) -> Pair:
    """어머니께서는 오늘 아주 바쁘세요."""
    return said(person_quality_clause(scene, scene.subject()), scene.style)


def person_quality_question(scene: Scene) -> Pair:
    """오늘 바쁘세요? 너는 배가 고프니?"""
    who = hearer(scene) if scene.chance(0.6) else asked_about(scene)
    return asked(scene, person_quality_clause(scene, who, degree=False))


def being(ko: str, en: str, negative: bool) -> Phrase:
    """Returns "be a doctor" or "not be a doctor"."""
    if negative:
        stem = Stem("아니", "아니다", Kind.COPULA)
        before = with_particle(ko, "이")
        return Phrase(Spoken(before, stem), Spoken(before, honor_of(stem)), "be", en, "no", negative=True)
    before, _, noun = ko.rpartition(" ")
    stem = Stem(noun, "이다", Kind.COPULA)
    return Phrase(Spoken(before, stem), Spoken(before, honor_of(stem)), "be", en, "no")


def job_clause(scene: Scene, who: Person, past: bool = True) -> Clause:
    """Returns a clause about somebody's present or past job."""
    grown = [job for job in JOBS if job[0] not in ("학생", "대학생", "운동선수")]
    ko, en = scene.rng.choice(grown if who.elder else JOBS)
    if "young" in who.roles or "adult" not in who.roles:
        ko, en = JOBS[0]
    if scene.chance(0.2):
        adjective = scene.rng.choice(
            [a for a in adjectives() if {"before", "degree"} <= a.flags and "person" in a.describes]
        )
        ko, en = f"{before_noun(adjective)} {ko}", f"{adjective.en} {en}"
    tense = Tense.PAST if past and scene.chance(0.15) else Tense.PRESENT
    return Clause(who, being(ko, with_article(en), scene.chance(0.25)), Tense.PAST if "old" in who.roles else tense)


def job(scene: Scene) -> Pair:
    """민수 씨는 의사예요. 우리 형은 학생이 아니에요."""
    who = scene.subject(
        lambda person: (not person.agreement.plural and "elder" not in person.roles) or "kin" in person.roles
    )
    if who.agreement.plural:
        return thing_quality(scene)
    return said(job_clause(scene, who), scene.style)


def pointing(scene: Scene) -> Pair:
    """이것은 지민 씨 가방이에요. 그것은 제 우산이 아니에요."""
    noun, owned = a_thing(scene, "ownable", "hat", "shoes")
    near = scene.chance(0.6)
    if owned.en.startswith(("this", "that", "these", "those")):
        what, complement = noun.ko, noun.indefinite()
    else:
        what, complement = owned.ko, owned.en
    word = ("these" if near else "those") if noun.agreement.plural else ("this" if near else "that")
    pointer = Person("이것" if near else "그것", word, "-", "", frozenset(), noun.agreement)
    return said(Clause(pointer, being(what, complement, scene.chance(0.25))), scene.style)


def having(scene: Scene) -> Pair:
    """저는 자전거가 있어요. 지민 씨는 시간이 없어요."""
    who = scene.subject(lambda person: not person.elder)
    missing = scene.chance(0.35)
    if scene.chance(0.3):
        ko, en = scene.rng.choice(
            (("시간", "time"), ("돈", "money"), ("약속", "plans"), ("숙제", "homework"), ("시험", "a test"))
        )
        word = {"time": "any time", "money": "any money", "plans": "any plans", "homework": "any homework"}.get(en, en)
        object_en = word if missing else en
        korean = with_particle(ko, "이")
        day_ko, day_en = scene.rng.choice((("오늘", "today"), ("내일", "tomorrow"))) if ko != "돈" else ("지금", "now")
        korean = f"{day_ko} {korean}"
        phrase = Phrase(Spoken(korean, EXIST), Spoken(korean, EXIST), "have", f"{object_en} {day_en}", "no")
    else:
        noun = scene.rng.choice(nouns_in("ownable", "pet"))
        korean = with_particle(noun.ko, "이")
        phrase = Phrase(Spoken(korean, EXIST), Spoken(korean, EXIST), "have", noun.indefinite(), "no")
    if missing:
        lacking = Spoken(korean, LACK)
        phrase = Phrase(lacking, lacking, "have", phrase.rest, "no", negative=True)
    return said(Clause(who, phrase), scene.style)


def owning_some(scene: Scene) -> Pair:
    """저는 고양이가 두 마리 있어요. 저는 여동생이 한 명 있어요."""
    who = scene.subject(lambda person: not person.elder)
    noun = scene.rng.choice([n for n in nouns_in("ownable", "pet", "shelf") if n.counter])
    ko, en = some_of(scene.rng, noun)
    number = " ".join(ko.split()[-2:])
    korean = f"{with_particle(noun.ko, '이')} {number}"
    return said(Clause(who, Phrase(Spoken(korean, EXIST), Spoken(korean, EXIST), "have", en, "no")), scene.style)


def spot(scene: Scene) -> tuple[str, str]:
    """Returns a position at a piece of furniture, or a room."""
    if scene.chance(0.5):
        ko, en = scene.rng.choice(SPOTS)
        furniture = scene.rng.choice(nouns_in("top") if ko == "위" else nouns_in("top", "seat"))
        return f"{furniture.ko} {ko}", f"{en} the {furniture.en}"
    place = scene.rng.choice(places_in("room"))
    return place.ko, place.at


def existing(scene: Scene) -> Pair:
    """책상 위에 책 세 권이 있어요. 방에 고양이가 없어요."""
    where_ko, where_en = spot(scene)
    noun = scene.rng.choice(
        nouns_in("small", "shelf", "tableware") if "위" in where_ko else nouns_in("pet", "toy", "carry")
    )
    missing = scene.chance(0.2)
    if noun.counter and not missing and scene.chance(0.6):
        ko, en = some_of(scene.rng, noun)
    else:
        ko, en = noun.ko, noun.indefinite()
    plural = Agreement(3, en.split()[0] in ("two", "three", "four", "five") or noun.agreement.plural)
    tense = Tense.PRESENT if scene.chance(0.75) else Tense.PAST
    there = Person("", "there", "-", "", frozenset(), plural)
    stem = Spoken("", LACK if missing else EXIST)
    clause = Clause(there, Phrase(stem, stem, "be", f"{en} {where_en}", "no", negative=missing), tense)
    korean = f"{where_ko}에 {with_particle(ko, '이')} {clause.statement(scene.style)}."
    return Pair(korean, sentence(clause.english()))


def located(scene: Scene) -> Pair:
    """제 가방은 책상 아래에 있어요. 할머니께서는 방에 계세요."""
    if scene.chance(0.5):
        noun = scene.rng.choice(nouns_in("small", "shelf", "lose", "carry"))
        what = thing(noun, noun.ko, f"the {noun.en}")
        if "ownable" in noun.classes and scene.chance(0.5):
            what = thing(noun, f"{'제' if scene.style.humble else '내'} {noun.ko}", f"my {noun.en}")
        ko, en = spot(scene)
    else:
        what = scene.subject()
        place = scene.rng.choice(
            [p for p in places_in("room", "goal", "home") if not p.classes & {"adult", "learner"} - what.roles]
        )
        ko, en = place.ko, place.at
    time_ko, time_en, tense = scene.rng.choice(
        (("", "", Tense.PRESENT), ("지금", "now", Tense.PRESENT), ("어제", "yesterday", Tense.PAST))
    )
    before = together(time_ko, f"{ko}에")
    phrase = Phrase(Spoken(before, EXIST), Spoken(before, Stem("계시", "시")), "be", together(en, time_en), "no")
    return said(Clause(what, phrase, tense), scene.style)
