"""Sentences of two clauses: reasons, conditions, occasions and contrasts."""

from dataclasses import replace

from clauses import Clause, Pair, together, topic
from conjugation import Stem
from endings import Style, Tense
from english import sentence
from kinds_simple import HEARER, willed
from lexicon import Person, nouns_in
from phrases import Phrase, Spoken, negated, obliged, unable, wish
from scene import Scene, fits
from situations import Situation, of_weather, personal

# Causes of an action rather than of a wish.
PRESSING = ("tired", "sick", "a headache", "a stomachache")


def situation(scene: Scene, who: Person, tense: Tense, hindered: bool, degree: bool = False) -> Situation:
    """Returns a situation of either kind."""
    return (personal if scene.chance(0.5) else of_weather)(scene, who, tense, hindered, degree)


def reason(scene: Scene) -> Pair:
    """저는 배가 고파서 식당에 갔어요. 비가 왔기 때문에 우리는 공원에 못 갔어요."""
    who = scene.with_pronoun()
    hindered = scene.chance(0.3)
    tense = Tense.PAST if hindered else scene.rng.choice((Tense.PAST, Tense.PAST, Tense.PRESENT))
    case = situation(scene, who, tense, hindered, degree=True)
    phrase = case.action
    if hindered:
        phrase = unable(phrase, scene.chance(0.6))
    elif tense is Tense.PRESENT:
        duty = case.cause.phrase.rest.endswith(PRESSING) and scene.chance(0.6)
        phrase = obliged(phrase) if duty else wish(phrase, who.agreement.person == 3)
    main = Clause(who, phrase, tense)
    form = case.cause.linked("(아)서") if scene.chance(0.6) else case.cause.joined("기 때문에")
    korean = _led(scene, case, form, main)
    cause = case.cause.english(pronoun=case.shared)
    return Pair(korean, sentence(f"{main.english()} because {cause}"))


def _led(scene: Scene, case: Situation, form: str, main: Clause) -> str:
    """Returns the Korean line: a shared subject comes first, a different one follows the first clause."""
    if case.shared:
        return f"{topic(main.who)} {form} {main.statement(scene.style)}."
    return f"{case.cause.who.ko} {form} {topic(main.who)} {main.statement(scene.style)}."


def condition(scene: Scene) -> Pair:
    """날씨가 좋으면 저는 공원에 갈 거예요."""
    who = scene.with_pronoun()
    case = situation(scene, who, Tense.PRESENT, False)
    cause = _not_ongoing(case.cause)
    main = Clause(who, case.action, Tense.FUTURE)
    return Pair(
        _led(scene, case, cause.linked("(으)면"), main),
        sentence(f"if {cause.english()}, {main.english(pronoun=case.shared)}"),
    )


def _not_ongoing(clause: Clause) -> Clause:
    """Returns rain and snow as plain events: 비가 오면, if it rains."""
    phrase = clause.phrase
    if phrase.plain.before in ("오고", "눈이 오고") and phrase.rest.endswith("ing"):
        spoken = Spoken("", Stem("오"))
        return replace(clause, phrase=Phrase(spoken, spoken, phrase.rest.removesuffix("ing"), "", "no"))
    return clause


def occasion(scene: Scene) -> Pair:
    """저는 피곤할 때 커피를 마셔요. 비가 올 때 우리는 집에서 쉬어요."""
    who = scene.with_pronoun()
    tense = Tense.PRESENT if scene.chance(0.7) else Tense.PAST
    case = situation(scene, who, Tense.PRESENT, False)
    cause = _not_ongoing(case.cause)
    if tense is Tense.PAST:
        cause = replace(cause, tense=Tense.PAST)
    form = cause.joined("(으)ㄹ 때")
    main = Clause(who, case.action, tense)
    return Pair(_led(scene, case, form, main), sentence(f"when {cause.english()}, {main.english(pronoun=case.shared)}"))


def even_if(scene: Scene) -> Pair:
    """비가 와도 저는 공원에 갈 거예요."""
    who = scene.subject()
    case = of_weather(scene, who, Tense.PRESENT, hindered=True, degree=False)
    cause = _not_ongoing(case.cause)
    main = Clause(who, case.action, Tense.FUTURE)
    return Pair(
        _led(scene, case, cause.linked("(아)도"), main), sentence(f"even if {cause.english()}, {main.english()}")
    )


def advice(scene: Scene) -> Pair:
    """날씨가 추우니까 창문을 닫으세요. 배가 고프면 빵을 드세요."""
    hearer = replace(HEARER, roles=HEARER.roles)
    if scene.chance(0.5):
        case = of_weather(scene, hearer, Tense.PRESENT)
        form = f"{case.cause.who.ko} {case.cause.joined('(으)니까')}"
        suffix, prefix = f"because {case.cause.english()}", ""
    else:
        case = personal(scene, hearer, Tense.PRESENT, degree=False)
        while case.cause.phrase.rest in ("sad", "happy", "in a good mood"):
            case = personal(scene, hearer, Tense.PRESENT, degree=False)
        plain = replace(case.cause, who=replace(hearer, roles=frozenset()))
        form = (plain if not scene.style.humble else case.cause).linked("(으)면")
        suffix, prefix = "", f"if {case.cause.english()}, "
    phrase = case.action
    if not prefix and scene.chance(0.4):
        ending = "(으)ㅂ시다" if scene.style.humble else "자"
        return Pair(f"{form} {phrase.plain.form(ending)}.", sentence(f"{prefix}let's {together(phrase.bare, suffix)}"))
    if scene.style.humble:
        korean = phrase.honor.form("(아)요" if scene.style is Style.POLITE else "(으)ㅂ시오")
    else:
        korean = phrase.plain.form("(아)라")
    return Pair(f"{form} {korean}.", sentence(f"{prefix}{together(phrase.bare, suffix)}"))


def contrast(scene: Scene) -> Pair:
    """저는 커피를 좋아하지만 제 동생은 안 좋아해요. 저는 책을 읽었지만 지민 씨는 영화를 봤어요."""
    first_who = scene.subject()
    second_who = scene.third()
    chance = scene.rng.random()
    if chance < 0.4:
        first, second = _different_tastes(scene, first_who, second_who)
    elif chance < 0.7:
        first, second = _same_verb(scene, first_who, second_who)
    else:
        tense = Tense.PAST
        verb = scene.verb(lambda v: fits(v, first_who) and fits(v, second_who) and willed(v) and "big" not in v.flags)
        phrase = scene.phrase(verb, first_who, decorated=False)
        first = Clause(first_who, scene.timed(verb, phrase, tense), tense)
        other = Clause(second_who, negated(phrase, scene.chance(0.5)), tense)
        second = other
    link = first.joined("지만") if scene.chance(0.6) else first.background()
    korean = f"{topic(first.who)} {link} {topic(second.who)} {second.statement(scene.style)}."
    return Pair(korean, sentence(f"{first.english()}, but {second.english()}"))


def _different_tastes(scene: Scene, first: Person, second: Person) -> tuple[Clause, Clause]:
    verb = scene.verb(lambda v: v.english == "like {o}")
    group = scene.rng.choice([name for name in verb.fillers if len(nouns_in(name)) > 1])
    one, two = scene.rng.sample(nouns_in(group), 2)
    return Clause(first, scene.phrase(verb, first, one.ko)), Clause(second, scene.phrase(verb, second, two.ko))


def _same_verb(scene: Scene, first: Person, second: Person) -> tuple[Clause, Clause]:
    """Returns two clauses on the same day, the second with another object or goal."""
    tense = Tense.PAST
    verb = scene.verb(
        lambda v: fits(v, first) and fits(v, second) and willed(v) and bool(v.fillers) and "big" not in v.flags
    )
    phrases = scene.phrase(verb, first, decorated=False), scene.phrase(verb, second, decorated=False)
    if phrases[0].plain.before == phrases[1].plain.before or phrases[0].plain.before in phrases[1].plain.before:
        return _different_tastes(scene, first, second)
    return Clause(first, scene.timed(verb, phrases[0], tense), tense), Clause(second, phrases[1], tense)
