"""Sentences with an embedded clause: relative clauses and reported speech."""

from clauses import Clause, Pair, said, subject, topic
from conjugation import Stem
from endings import Tense
from english import Agreement, sentence
from hangul import with_particle
from kinds_describing import being, quality, thing
from kinds_simple import HEARER, tense_for, together_verb, willed
from lexicon import Adjective, Noun, Person, Verb, adjectives, verbs
from phrases import Phrase, Spoken, honor_of, preceded, progressive
from scene import SPEAKER_ROLES, Scene, fits, objects

# Verbs whose object can be described afterwards, with the adjectives that fit it.
MADE = (
    "buy {o}",
    "read {o}",
    "watch {o}",
    "eat {o}",
    "drink {o}",
    "make {o}",
    "cook {o}",
    "write {o}",
    "borrow {o}",
    "wear {o}",
    "order {o}",
)


def relative(scene: Scene) -> Pair:
    """제가 어제 산 가방은 비싸요. 지민 씨가 만든 케이크는 맛있었어요."""
    who = scene.subject()
    verb = scene.verb(lambda v: fits(v, who) and v.english in MADE and "big" not in v.flags and bool(_described(v)))
    noun, adjective = scene.rng.choice(_described(verb))
    made = _gap(scene, verb, who, Tense.PAST)
    head = thing(noun, f"{subject(who)} {made.before_noun()} {noun.ko}", "")
    english = f"the {noun.en} that {made.english()}"
    head = thing(noun, head.ko, english)
    eaten = verb.english.startswith(("eat", "drink", "watch"))
    tense = Tense.PAST if eaten or scene.chance(0.3) else Tense.PRESENT
    return said(Clause(head, quality(scene, adjective), tense), scene.style)


def _described(verb: Verb) -> list[tuple[Noun, Adjective]]:
    found = []
    for noun in objects(verb):
        for adjective in adjectives():
            if adjective.describes & noun.classes and not adjective.before and noun.number != "the":
                found.append((noun, adjective))
    return found


def _gap(scene: Scene, verb: Verb, who: Person, tense: Tense) -> Clause:
    """Returns a clause without its object, as in "that I bought yesterday"."""
    spoken, honor = Spoken("", verb.stem), Spoken("", verb.honor)
    phrase = Phrase(spoken, honor, verb.english.split()[0], "", "before")
    time = scene.rng.choice((("어제", "yesterday"), ("어제", "yesterday"), ("지난주에", "last week"), ("", "")))
    return Clause(who, preceded(phrase, *time), tense)


def relative_person(scene: Scene) -> Pair:
    """공원에서 책을 읽고 있는 사람은 제 친구예요. 피아노를 치는 학생은 민지 씨예요."""
    doer = Person("사람", "person", "-", "", SPEAKER_ROLES)
    verb = scene.verb(lambda v: fits(v, doer) and willed(v) and not v.flags & {"state", "feeling", "big", "goal"})
    base = scene.phrase(verb, doer)
    who = scene.third(
        lambda person: not person.elder and bool(person.roles & {"name", "kin"}) and not person.agreement.plural
    )
    past_event = scene.chance(0.4)
    if past_event:
        clause = Clause(doer, preceded(base, "어제", "yesterday"), Tense.PAST)
    else:
        clause = Clause(doer, progressive(base), Tense.PRESENT)
    head = Person(f"{clause.before_noun()} 사람", f"the person who {clause.predicate()}", "-", "", frozenset())
    return said(Clause(head, being(who.ko, who.en, False)), scene.style)


def relative_object(scene: Scene) -> Pair:
    """저는 어머니께서 만드신 빵을 먹었어요. 저는 친구가 쓴 편지를 읽었어요."""
    eater = scene.subject()
    maker = scene.third(lambda person: eater.agreement.person == 1 or "kin" not in person.roles)
    if eater.en == maker.en:
        return relative(scene)
    pairs = (
        ("make {o}", "eat {o}"),
        ("bake {o}", "eat {o}"),
        ("cook {o}", "eat {o}"),
        ("buy {o}", "eat {o}"),
        ("buy {o}", "drink {o}"),
        ("write {o}", "read {o}"),
        ("buy {o}", "wear {o}"),
        ("buy {o}", "read {o}"),
    )
    first, second = scene.rng.choice(pairs)
    options = [(m, u) for m in _frames(first, maker) for u in _frames(second, eater) if _shared(m, u)]
    if not options:
        return relative(scene)
    make, use = scene.rng.choice(options)
    noun = scene.rng.choice(_shared(make, use))
    inner = _gap(scene, make, maker, Tense.PAST)
    korean = f"{subject(maker)} {inner.before_noun()} {with_particle(noun.ko, '을')}"
    english = f"the {noun.en} that {inner.english()}"
    tense = scene.rng.choice((Tense.PAST, Tense.PAST, Tense.FUTURE))
    phrase = Phrase(Spoken(korean, use.stem), Spoken(korean, use.honor), use.english.split()[0], english)
    return said(Clause(eater, phrase, tense), scene.style)


def _frames(english: str, who: Person) -> list[Verb]:
    return [verb for verb in verbs() if verb.english == english and fits(verb, who)]


def _shared(one: Verb, two: Verb) -> list[Noun]:
    return [
        noun for noun in objects(one) if noun in objects(two) or (two.english == "read {o}" and "mail" in noun.classes)
    ]


def reported_statement(scene: Scene) -> Pair:
    """지민 씨는 민수 씨가 내일 학교에 올 거라고 했어요."""
    teller = scene.third()
    inner = _reportable(scene, scene.subject(lambda person: "kin" not in person.roles), teller)
    verb = scene.rng.choice(("하", "말하"))
    stem = Spoken("", Stem(verb))
    honor = Spoken("", _honor(verb))
    text = f"{subject(inner.who)} {inner.quoted()}"
    tense = Tense.PAST if scene.chance(0.8) else Tense.PRESENT
    outer = Clause(teller, Phrase(stem, honor, "say", "", "no"), tense)
    english = f"{outer.english()} that {inner.english(shifted=tense is Tense.PAST)}"
    return Pair(f"{topic(teller)} {text} {outer.statement(scene.style)}.", sentence(english))


def _honor(text: str) -> Stem:
    return Stem("말씀하시", "시") if text == "말하" else honor_of(Stem(text))


def _reportable(scene: Scene, who: Person, teller: Person) -> Clause:
    """Returns a clause to report about somebody: an event, a trait or a preference."""
    if scene.chance(0.3):
        found = [a for a in adjectives() if "person" in a.describes and "feel" not in a.flags]
        return Clause(who, quality(scene, scene.rng.choice(found)))
    verb = scene.verb(lambda v: fits(v, who) and "{poss}" not in v.english)
    tense = tense_for(scene, verb)
    # Reported days are relative to the time of speaking, so that "yesterday" is unambiguous.
    phrase = scene.phrase(verb, who)
    time = {Tense.PRESENT: ("매일", "every day"), Tense.PAST: ("", ""), Tense.FUTURE: ("내일", "tomorrow")}[tense]
    if verb.flags & {"feeling", "big"} or scene.chance(0.3):
        time = ("", "")
    return Clause(who, preceded(phrase, *time), tense)


def order(scene: Scene) -> Pair:
    """어머니께서는 저에게 방을 청소하라고 하셨어요."""
    teller = scene.third(lambda person: "young" not in person.roles)
    verb = scene.verb(lambda v: fits(v, HEARER) and willed(v) and "big" not in v.flags)
    i = Person("나", "I", "I", "", SPEAKER_ROLES, Agreement(1))
    phrase = scene.phrase(verb, i)
    negative = scene.chance(0.25)
    command = phrase.plain.form("지") + " 말라고" if negative else phrase.plain.form("(으)라고")
    me = "저에게" if scene.style.humble else "나에게"
    stem = scene.rng.choice(("하", "말하"))
    before = f"{me} {command}"
    rest = f"me {'not ' if negative else ''}to {phrase.bare}"
    outer = Phrase(Spoken(before, Stem(stem)), Spoken(before, _honor(stem)), "tell", rest, "no")
    return said(Clause(teller, outer, Tense.PAST), scene.style)


def proposal(scene: Scene) -> Pair:
    """지민 씨는 저에게 같이 영화를 보자고 했어요."""
    teller = scene.third(lambda person: not person.elder)
    phrase = together_verb(scene)
    phrase = preceded(phrase, "같이", "together")
    me = "저에게" if scene.style.humble else "나에게"
    before = f"{me} {phrase.plain.form('자고')}"
    outer = Phrase(Spoken(before, Stem("하")), Spoken(before, _honor("하")), "suggest", f"that we {phrase.bare}", "no")
    return said(Clause(teller, outer, Tense.PAST), scene.style)


def inquiry(scene: Scene) -> Pair:
    """선생님께서는 저에게 한국어를 공부하냐고 물으셨어요."""
    teller = scene.third()
    i = Person("나", "I", "I", "", SPEAKER_ROLES, Agreement(1))
    verb = scene.verb(lambda v: fits(v, i) and "chance" not in v.flags and "nohabit" not in v.flags)
    tense = Tense.PRESENT if "feeling" in verb.flags or scene.chance(0.4) else Tense.PAST
    phrase = scene.phrase(verb, i, decorated=False, generic=tense is Tense.PRESENT)
    if tense is Tense.PRESENT and not verb.flags & {"feeling", "big"}:
        phrase = preceded(phrase, "매일", "every day")
    inner = Clause(i, phrase, tense)
    asked = inner.joined("냐고")
    me = "저에게" if scene.style.humble else "나에게"
    before = f"{me} {asked}"
    ask = Stem("묻", "ㄷ")
    outer = Phrase(
        Spoken(before, ask), Spoken(before, honor_of(ask)), "ask", f"me if {inner.english(shifted=True)}", "no"
    )
    return said(Clause(teller, outer, Tense.PAST), scene.style)
