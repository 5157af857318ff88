"""Lines of two clauses: reasons, conditions, contrasts, sequences, purposes, relative clauses."""

from dataclasses import replace

from clauses import Clause, Pair, said, subject, together, topic
from conjugation import attach
from endings import Style, Tense
from english import sentence
from hangul import with_particle
from kinds_simple import ANY_TENSE, HEARER, plain_clause, willed
from lexicon import Noun, Person, Verb, adjectives, nouns, nouns_in, places
from phrases import REGULAR_HONORS, Phrase, negated, obliged, preceded, unable, wish
from scene import EARLY_ADVERBS, Scene, fits
from situations import Situation, action, frames, of_weather, personal
from kinds_describing import quality

# An hour before breakfast or in the shower, one thing at a time.
BACKGROUNDS = ("listen to {o}:listen|listen to {o}:라디오", "watch {o}:tv", "drink {o}:커피|drink {o}:녹차")
FOREGROUNDS = {
    "listen": "study|clean the house|do the dishes|walk@공원|run@공원|read {o}:reading|drive|do homework|write {o}:편지|exercise",
    "watch": "eat breakfast|eat dinner|exercise@집|eat {o}:snack|rest@집",
    "drink": "read {o}:reading|read {o}:신문|study|do homework|listen to {o}:음악|talk with {w}|write {o}:보고서|write {o}:이메일",
}
ERRANDS = {
    "도서관": "borrow {o}|read {o}:reading|study|do homework", "시장": "buy {o}:fruit|buy {o}:vegetable",
    "백화점": "buy {o}:clothing|buy {o}:shoes|buy {o}:shopping", "공원": "take a walk|exercise|run|take a picture|ride a bicycle",
    "카페": "drink {o}:cafe|meet {w}|read {o}:reading", "영화관": "watch a movie", "식당": "eat {o}:menu|eat lunch|eat dinner",
    "서점": "buy {o}:text", "꽃집": "buy {o}:flower", "빵집": "buy {o}:baked", "수영장": "swim", "바다": "swim|take a picture",
    "체육관": "exercise|play {o}:racket", "편의점": "buy {o}:drink|buy {o}:snack", "동물원": "take a picture",
    "병원": "meet {w}", "우체국": "send {o} to {w}:mail|send {o} to {w}:parcel", "가게": "buy {o}:fruit|buy {o}:vegetable",
}  # fmt: skip
MORNING = "eat breakfast|take a shower|do the laundry|read {o}:신문|clean the house|exercise|drink {o}:커피|watch {o}:tv|study|do homework|go {g}:도서관|meet {w}|call {w}|eat lunch|read {o}:reading|cook {o}|draw a picture|play {o}:피아노|take a walk|go {g}:시장|swim|do the dishes|listen to {o}:음악|write {o}:편지"
EVENING = "eat dinner|sleep|go back {g}:집|watch {o}:watch|come {g}:집|meet {w}|rest@집|listen to {o}:음악|read {o}:reading|play {o}:기타|take a shower|call {w}|go {g}:카페|go {g}:공원|clean the house|drink {o}:녹차|play {o}:sport"


def situation(scene: Scene, who: Person, tense: Tense, hindered: bool, degree: bool = False) -> Situation:
    """Return a situation of either sort."""
    return (personal if scene.chance(0.5) else of_weather)(scene, who, tense, hindered, degree)


def able_subject(scene: Scene) -> Person:
    """Return a subject that English can repeat as a pronoun and that is not honoured twice over."""
    return scene.with_pronoun()


def reason(scene: Scene) -> Pair:
    """저는 배가 고파서 식당에 갔어요. 비가 왔기 때문에 우리는 공원에 못 갔어요."""
    who = able_subject(scene)
    hindered = scene.chance(0.3)
    tense = Tense.PAST if hindered else scene.rng.choice((Tense.PAST, Tense.PAST, Tense.PRESENT))
    case = situation(scene, who, tense, hindered, degree=True)
    phrase = case.action
    if hindered:
        phrase = unable(phrase, scene.chance(0.6))
    elif tense is Tense.PRESENT:
        phrase = wish(phrase, who.agreement.person == 3) if scene.chance(0.5) else obliged(phrase)
    main = Clause(who, phrase, tense)
    form = case.cause.linked("(아)서") if scene.chance(0.6) else case.cause.joined("기 때문에")
    korean = _led(scene, case, form, main)
    cause = case.cause.english(pronoun=case.shared)
    return Pair(korean, sentence(f"{main.english()} because {cause}"))


def _led(scene: Scene, case: Situation, form: str, main: Clause) -> str:
    """Return the Korean line: a shared subject leads, another one follows its own clause."""
    if case.shared:
        return f"{topic(main.who)} {form} {main.statement(scene.style)}."
    return f"{case.cause.who.ko} {form} {topic(main.who)} {main.statement(scene.style)}."


def condition(scene: Scene) -> Pair:
    """날씨가 좋으면 저는 공원에 갈 거예요."""
    who = able_subject(scene)
    case = situation(scene, who, Tense.PRESENT, False)
    cause = _not_ongoing(case.cause)
    main = Clause(who, case.action, Tense.FUTURE)
    return Pair(
        _led(scene, case, cause.linked("(으)면"), main),
        sentence(f"if {cause.english()}, {main.english(pronoun=case.shared)}"),
    )


def _not_ongoing(clause: Clause) -> Clause:
    """Return rain and snow as plain events: 비가 오면, if it rains."""
    phrase = clause.phrase
    if phrase.plain.before in ("오고", "눈이 오고") and phrase.rest.endswith("ing"):
        from conjugation import Stem
        from phrases import Spoken

        spoken = Spoken("", Stem("오"))
        return replace(clause, phrase=Phrase(spoken, spoken, phrase.rest.removesuffix("ing"), "", "no"))
    return clause


def occasion(scene: Scene) -> Pair:
    """저는 피곤할 때 커피를 마셔요. 비가 올 때 우리는 집에서 쉬어요."""
    who = able_subject(scene)
    tense = Tense.PRESENT if scene.chance(0.7) else Tense.PAST
    case = situation(scene, who, Tense.PRESENT, False)
    cause = _not_ongoing(case.cause)
    if tense is Tense.PAST:
        cause = replace(cause, tense=Tense.PAST)
    form = cause.joined("(으)ㄹ 때")
    main = Clause(who, case.action, tense)
    return Pair(_led(scene, case, form, main), sentence(f"when {cause.english()}, {main.english(pronoun=case.shared)}"))


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
    """Return two clauses on one day of which the second has another object or goal."""
    tense = Tense.PAST
    verb = scene.verb(
        lambda v: fits(v, first) and fits(v, second) and willed(v) and bool(v.fillers) and "big" not in v.flags
    )
    phrases = scene.phrase(verb, first, decorated=False), scene.phrase(verb, second, decorated=False)
    if phrases[0].plain.before == phrases[1].plain.before or phrases[0].plain.before in phrases[1].plain.before:
        return _different_tastes(scene, first, second)
    return Clause(first, scene.timed(verb, phrases[0], tense), tense), Clause(second, phrases[1], tense)


def sequence(scene: Scene) -> Pair:
    """저는 어제 아침을 먹고 도서관에 갔어요."""
    who = scene.subject()
    tense = scene.rng.choice(ANY_TENSE)
    first, second = activities(scene, who)
    day_ko, day_en = a_day(scene, tense)
    main = Clause(who, second, tense)
    link = first.spoken(who.elder and _suppletive(first)).form("고")
    korean = f"{together(topic(who), day_ko, link)} {main.statement(scene.style)}."
    # "will" is not said twice.
    last = second.bare if tense is Tense.FUTURE else main.predicate()
    return Pair(korean, sentence(together(Clause(who, first, tense).english(), "and", last, day_en)))


def _suppletive(phrase: Phrase) -> bool:
    """Return whether the honorific is a word of its own (드시다), which is kept before 고 too."""
    return phrase.honor.stem not in REGULAR_HONORS


def _with_day(scene: Scene, phrase: Phrase, tense: Tense) -> Phrase:
    return preceded(phrase, *a_day(scene, tense))


def a_day(scene: Scene, tense: Tense) -> tuple[str, str]:
    """Return a day that suits the tense, in both languages."""
    return scene.rng.choice({
        Tense.PRESENT: (("매일", "every day"), ("주말마다", "every weekend"), ("토요일마다", "every Saturday"), ("일요일마다", "every Sunday")),
        Tense.PAST: (("어제", "yesterday"), ("그저께", "the day before yesterday"), ("지난 주말에", "last weekend"), ("지난 토요일에", "last Saturday"), ("", "")),
        Tense.FUTURE: (("내일", "tomorrow"), ("모레", "the day after tomorrow"), ("이번 주말에", "this weekend"), ("다음 일요일에", "next Sunday")),
    }[tense])


def activities(scene: Scene, who: Person) -> tuple[Phrase, Phrase]:
    """Return two different things of a day, in a likely order."""
    while True:
        one = scene.rng.choice(MORNING.split("|"))
        two = scene.rng.choice(EVENING.split("|"))
        if one.split(":")[0].split()[0] != two.split(":")[0].split()[0] and frames(who, one) and frames(who, two):
            return action(scene, who, one), action(scene, who, two)


def before_after(scene: Scene) -> Pair:
    """저는 책을 읽은 후에 잤어요. 저는 자기 전에 책을 읽어요."""
    who = scene.subject()
    tense = scene.rng.choice(ANY_TENSE)
    first, second = activities(scene, who)
    if scene.chance(0.5):
        main = Clause(who, _with_day(scene, second, tense) if tense is Tense.PRESENT else second, tense)
        link = first.spoken(who.elder).form("(으)ㄴ 후에")
        return Pair(
            f"{topic(who)} {link} {main.statement(scene.style)}.", sentence(f"after {first.ing}, {main.english()}")
        )
    main = Clause(who, first, tense)
    link = second.spoken(who.elder).form("기 전에")
    return Pair(f"{topic(who)} {link} {main.statement(scene.style)}.", sentence(f"{main.english()} before {second.ing}"))


def meanwhile(scene: Scene) -> Pair:
    """저는 음악을 들으면서 청소했어요."""
    who = scene.subject(lambda person: "old" not in person.roles)
    tense = scene.rng.choice(ANY_TENSE)
    background = action(scene, who, scene.rng.choice(scene.rng.choice(BACKGROUNDS).split("|")))
    choices = [spec for spec in FOREGROUNDS[background.head].split("|") if frames(who, spec)]
    main = Clause(who, _with_day(scene, action(scene, who, scene.rng.choice(choices)), tense), tense)
    # The day stands first in Korean: 저는 어제 음악을 들으면서 책을 읽었어요.
    day_last = main.phrase.spoken(who.elder).before
    link = background.spoken(who.elder).form("(으)면서")
    day, rest = _split_day(day_last)
    spoken = main.phrase.spoken(who.elder)
    moved = replace(spoken, before=together(day, link, rest))
    phrase = replace(main.phrase, plain=moved, honor=moved)
    day_en = DAY_ENGLISH.get(day, "")
    rest_en = main.phrase.rest.removesuffix(day_en).strip()
    phrase = replace(phrase, rest=together(rest_en, "while", background.ing, day_en))
    return said(Clause(who, phrase, tense), scene.style)


DAY_ENGLISH = {
    "매일": "every day", "주말마다": "every weekend", "토요일마다": "every Saturday", "일요일마다": "every Sunday",
    "어제": "yesterday", "그저께": "the day before yesterday", "지난 주말에": "last weekend", "지난 토요일에": "last Saturday",
    "내일": "tomorrow", "모레": "the day after tomorrow", "이번 주말에": "this weekend", "다음 일요일에": "next Sunday",
}  # fmt: skip


def _split_day(before: str) -> tuple[str, str]:
    for day in DAY_ENGLISH:
        if before == day or before.startswith(day + " "):
            return day, before[len(day) :].strip()
    return "", before


def _fits_spec(who: Person, spec: str) -> bool:
    from lexicon import verbs

    name = spec.partition("@")[0].partition(":")[0]
    return any(verb.english == name and fits(verb, who) for verb in verbs())


def errand(scene: Scene) -> Pair:
    """저는 어제 책을 빌리러 도서관에 갔어요."""
    who = scene.subject()
    place = places()[scene.rng.choice([name for name in ERRANDS if name != "병원"])]
    spec = scene.rng.choice([spec for spec in ERRANDS[place.ko].split("|") if frames(who, spec)] or ["eat lunch"])
    if spec == "eat lunch":
        place = places()["식당"]
    purpose = action(scene, who, spec)
    tense = scene.rng.choice((*ANY_TENSE, Tense.FUTURE))
    go = scene.named_verb("go {g}", who)
    phrase = scene.phrase(go, who, place.ko, decorated=False)
    link = purpose.spoken(who.elder and _suppletive(purpose)).form("(으)러")
    ahead = scene.chance(0.7)
    phrase = preceded(phrase, link, f"to {purpose.bare}")
    if not ahead and tense is Tense.PRESENT:
        phrase = wish(phrase, who.agreement.person == 3)
        return said(Clause(who, preceded(phrase, "내일", "tomorrow"), tense), scene.style)
    return said(Clause(who, _with_day(scene, phrase, tense), tense), scene.style)
