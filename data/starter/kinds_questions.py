"""Questions with a question word: what, where, when, why, how many, how much."""

from clauses import Clause, Pair, together
from conjugation import Kind, Stem
from endings import Style, Tense
from english import plural
from hangul import with_particle
from kinds_describing import thing
from kinds_simple import asked, asked_about, hearer, tense_for, willed
from lexicon import Person, Verb, nouns_in, places_in
from phrases import EXIST, Phrase, Spoken, negated, preceded
from scene import Scene, fits, objects

WHAT_VERBS = (
    "eat {o}", "drink {o}", "buy {o}", "read {o}", "watch {o}", "learn {o}", "make {o}", "study {o}", "teach {o}",
    "cook {o}", "like {o}", "order {o}", "borrow {o}", "choose {o}", "listen to {o}", "plant {o}", "lose {o}",
    "write {o}",
)  # fmt: skip
DAYS = {
    Tense.PAST: (
        ("어제", "yesterday"),
        ("어제", "yesterday"),
        ("지난 주말에", "last weekend"),
        ("오늘 아침에", "this morning"),
    ),
    Tense.FUTURE: (("내일", "tomorrow"), ("이번 주말에", "this weekend"), ("오늘 저녁에", "this evening")),
    Tense.PRESENT: (("매일", "every day"), ("주말마다", "every weekend"), ("보통", "usually")),
}


def _who(scene: Scene) -> Person:
    return hearer(scene) if scene.chance(0.5) else asked_about(scene)


def _day(scene: Scene, verb: Verb, phrase: Phrase, tense: Tense) -> Phrase:
    if scene.chance(0.2):
        return phrase
    # Meals and sleep imply a part of the day.
    parts = () if "clocked" not in verb.flags else ("this morning", "this evening")
    ko, en = scene.rng.choice([day for day in DAYS[tense] if day[1] not in parts])
    return preceded(phrase, ko, "" if en == "usually" else en, "usually" if en == "usually" else "")


def what(scene: Scene) -> Pair:
    """어제 시장에서 무엇을 샀어요? 너는 뭐를 좋아해?"""
    who = _who(scene)
    verb = scene.verb(lambda v: fits(v, who) and v.english in WHAT_VERBS and not v.flags & {"big", "week"})
    tense = (
        Tense.PRESENT
        if "feeling" in verb.flags
        else Tense.PAST
        if "chance" in verb.flags
        else scene.rng.choice((Tense.PAST, Tense.PAST, Tense.FUTURE))
    )
    word = "뭐를" if scene.style is Style.CASUAL else "무엇을"
    place_ko, place_en = scene.place(verb, who)
    before = together(place_ko, word)
    head, _, rest = verb.english.partition(" ")
    rest = together(rest.removesuffix("{o}").strip(), place_en)
    phrase = Phrase(Spoken(before, verb.stem), Spoken(before, verb.honor), head, rest)
    if "feeling" not in verb.flags:
        phrase = _day(scene, verb, phrase, tense)
    return asked(scene, Clause(who, phrase, tense), "", "what")


def where(scene: Scene) -> Pair:
    """어제 어디에서 점심을 드셨어요? 지민 씨는 내일 어디에 가요?"""
    who = _who(scene)
    if scene.chance(0.3):
        tense = scene.rng.choice((Tense.PAST, Tense.FUTURE))
        verb = scene.named_verb("go {g}", who)
        phrase = Phrase(Spoken("어디에", verb.stem), Spoken("어디에", verb.honor), "go", "")
        return asked(scene, Clause(who, _day(scene, verb, phrase, tense), tense), "", "where")
    verb = scene.verb(
        lambda v: (
            fits(v, who)
            and len(v.places) > 0
            and willed(v)
            and v.english not in ("laugh", "rest", "brush {poss} teeth")
            and not v.flags & {"big", "week"}
        )
    )
    tense = tense_for(scene, verb)
    phrase = preceded(scene.phrase(verb, who, decorated=False), "어디에서")
    return asked(scene, Clause(who, _day(scene, verb, phrase, tense), tense), "", "where")


def when(scene: Scene) -> Pair:
    """언제 한국에 오셨어요? 수진 씨는 언제 숙제를 했어요?"""
    who = _who(scene)
    verb = scene.verb(lambda v: fits(v, who) and not v.flags & {"feeling", "chance"} and v.english != "live {at}")
    tense = scene.rng.choice((Tense.PAST, Tense.FUTURE))
    phrase = preceded(scene.phrase(verb, who, decorated=False), "언제")
    return asked(scene, Clause(who, phrase, tense), "", "when")


def why(scene: Scene) -> Pair:
    """왜 어제 학교에 안 오셨어요?"""
    who = _who(scene)
    verb = scene.verb(lambda v: fits(v, who) and not v.flags & {"big", "week", "chance"} and "{w}" not in v.english)
    tense = Tense.PRESENT if "feeling" in verb.flags else Tense.PAST
    phrase = scene.phrase(verb, who, decorated=False)
    if "chance" not in verb.flags and scene.chance(0.5):
        phrase = negated(phrase, scene.chance(0.6))
    if "feeling" not in verb.flags:
        phrase = _day(scene, verb, phrase, tense)
    return asked(scene, Clause(who, preceded(phrase, "왜"), tense), "", "why")


def how_many(scene: Scene) -> Pair:
    """어제 사과를 몇 개 샀어요?"""
    who = _who(scene)
    names = ("buy {o}", "eat {o}", "read {o}", "drink {o}", "write {o}", "borrow {o}")
    verb = scene.verb(
        lambda v: (
            fits(v, who) and v.english in names and any(n.counter for n in objects(v)) and not v.flags & {"big", "week"}
        )
    )
    noun = scene.rng.choice([n for n in objects(verb) if n.counter])
    before = f"{with_particle(noun.ko, '을')} 몇 {noun.counter}"
    phrase = Phrase(Spoken(before, verb.stem), Spoken(before, verb.honor), verb.english.split()[0], "")
    tense = Tense.PAST
    counted = f"{plural(noun.measure)} of {noun.en}" if noun.measure else plural(noun.en)
    return asked(scene, Clause(who, _day(scene, verb, phrase, tense), tense), "", f"how many {counted}")


def where_is(scene: Scene) -> Pair:
    """화장실은 어디에 있어요? 제 열쇠는 어디에 있어?"""
    if scene.chance(0.5):
        place = scene.rng.choice(places_in("public"))
        what_is = Person(place.ko, place.en, "-", "", frozenset())
    else:
        noun = scene.rng.choice(nouns_in("lose", "ownable", "small"))
        ko = "제" if scene.style.humble else "내"
        what_is = thing(noun, f"{ko} {noun.ko}", f"my {noun.en}")
    if scene.chance(0.2):
        what_is = asked_about(scene)
    spoken, honor = Spoken("어디에", EXIST), Spoken("어디에", Stem("계시", "시"))
    return asked(scene, Clause(what_is, Phrase(spoken, honor, "be", "", "no")), "", "where")


def how_much(scene: Scene) -> Pair:
    """이 가방은 얼마예요?"""
    noun = scene.rng.choice(
        nouns_in(
            "shopping", "clothing", "shoes", "machine", "text", "fruit", "flower", "baked", "furniture", "tableware"
        )
    )
    near = scene.chance(0.6)
    what_is = thing(noun, f"{'이' if near else '그'} {noun.ko}", noun.pointed(near))
    spoken = Spoken("", Stem("얼마", "이다", Kind.COPULA))
    return asked(scene, Clause(what_is, Phrase(spoken, spoken, "cost", "", "no")), "", "how much")


def how_is(scene: Scene) -> Pair:
    """이 영화는 어때요? 오늘 날씨는 어때?"""
    if scene.chance(0.15):
        what_is = Person("오늘 날씨", "the weather today", "-", "", frozenset())
    else:
        noun = scene.rng.choice(
            nouns_in("shopping", "clothing", "shoes", "reading", "watch", "menu", "cafe", "fruit", "furniture")
        )
        near = scene.chance(0.6)
        what_is = thing(noun, f"{'이' if near else '그'} {noun.ko}", noun.pointed(near))
    spoken = Spoken("", Stem("어떻", "ㅎ", Kind.ADJECTIVE))
    tense = Tense.PAST if what_is.en != "the weather today" and scene.chance(0.3) else Tense.PRESENT
    return asked(scene, Clause(what_is, Phrase(spoken, spoken, "be", "", "no"), tense), "", "how")
