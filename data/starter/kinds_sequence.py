"""Sentences about two actions of one person: in sequence, at the same time, or one for the purpose of the other."""

from clauses import Clause, Pair, said, together, topic
from endings import Tense
from english import sentence
from kinds_simple import ANY_TENSE
from lexicon import Person, actions, places
from phrases import REGULAR_HONORS, Phrase, preceded, wish
from scene import Scene
from situations import action, frames, pick


def sequence(scene: Scene) -> Pair:
    """저는 어제 아침을 먹고 도서관에 갔어요."""
    who = scene.subject()
    tense = scene.rng.choice(ANY_TENSE)
    first, second = activities(scene, who)
    day_ko, day_en = a_day(scene, tense)
    main = Clause(who, second, tense)
    link = first.spoken(who.elder and suppletive(first)).form("고")
    korean = f"{together(topic(who), day_ko, link)} {main.statement(scene.style)}."
    # "will" is not repeated.
    last = second.bare if tense is Tense.FUTURE else main.predicate()
    return Pair(korean, sentence(together(Clause(who, first, tense).english(), "and", last, day_en)))


def suppletive(phrase: Phrase) -> bool:
    """Returns true if the honorific is a separate word (드시다), which is also kept before 고."""
    return phrase.honor.stem not in REGULAR_HONORS


def _with_day(scene: Scene, phrase: Phrase, tense: Tense) -> Phrase:
    return preceded(phrase, *a_day(scene, tense))


def a_day(scene: Scene, tense: Tense) -> tuple[str, str]:
    """Returns a day that fits the tense, in both languages."""
    return scene.rng.choice(
        {
            Tense.PRESENT: (
                ("매일", "every day"),
                ("주말마다", "every weekend"),
                ("토요일마다", "every Saturday"),
                ("일요일마다", "every Sunday"),
            ),
            Tense.PAST: (
                ("어제", "yesterday"),
                ("그저께", "the day before yesterday"),
                ("지난 주말에", "last weekend"),
                ("지난 토요일에", "last Saturday"),
                ("", ""),
            ),
            Tense.FUTURE: (
                ("내일", "tomorrow"),
                ("모레", "the day after tomorrow"),
                ("이번 주말에", "this weekend"),
                ("다음 일요일에", "next Sunday"),
            ),
        }[tense]
    )


def activities(scene: Scene, who: Person) -> tuple[Phrase, Phrase]:
    """Returns two different actions of a day, in a likely order."""
    while True:
        one = scene.rng.choice(actions()["earlier"])
        two = scene.rng.choice(actions()["later"])
        if one.split(":")[0].split()[0] != two.split(":")[0].split()[0] and frames(who, one) and frames(who, two):
            return action(scene, who, one), action(scene, who, two)


def before_after(scene: Scene) -> Pair:
    """저는 책을 읽은 후에 잤어요. 저는 자기 전에 책을 읽어요."""
    who = scene.subject()
    tense = scene.rng.choice(ANY_TENSE)
    first, second = activities(scene, who)
    if scene.chance(0.5):
        day_ko, day_en = a_day(scene, tense) if tense is Tense.PRESENT else ("", "")
        main = Clause(who, second, tense)
        link = first.spoken(who.elder).form("(으)ㄴ 후에")
        korean = f"{together(topic(who), day_ko, link)} {main.statement(scene.style)}."
        return Pair(korean, sentence(together(f"after {first.ing}, {main.english()}", day_en)))
    main = Clause(who, first, tense)
    link = second.spoken(who.elder).form("기 전에")
    return Pair(
        f"{topic(who)} {link} {main.statement(scene.style)}.", sentence(f"{main.english()} before {second.ing}")
    )


def meanwhile(scene: Scene) -> Pair:
    """저는 음악을 들으면서 청소했어요."""
    who = scene.subject(lambda person: "old" not in person.roles)
    tense = scene.rng.choice(ANY_TENSE)
    background = action(scene, who, scene.rng.choice(actions()["background"]))
    main = action(scene, who, pick(scene, who, f"meanwhile {background.head}"))
    day_ko, day_en = a_day(scene, tense)
    link = background.spoken(who.elder).form("(으)면서")
    phrase = preceded(main, together(day_ko, link), together("while", background.ing, day_en))
    return said(Clause(who, phrase, tense), scene.style)


def errand(scene: Scene) -> Pair:
    """저는 어제 책을 빌리러 도서관에 갔어요."""
    who = scene.subject()
    key = scene.rng.choice([key for key in actions() if key.startswith("errand ")])
    if not any(frames(who, spec) for spec in actions()[key]):
        key = "errand 시장"
    place, spec = places()[key.removeprefix("errand ")], pick(scene, who, key)
    purpose = action(scene, who, spec)
    tense = scene.rng.choice((*ANY_TENSE, Tense.FUTURE))
    go = scene.named_verb("go {g}", who)
    phrase = scene.phrase(go, who, place.ko, decorated=False)
    link = purpose.spoken(who.elder and suppletive(purpose)).form("(으)러")
    ahead = scene.chance(0.7)
    phrase = preceded(phrase, link, f"to {purpose.bare}")
    if not ahead and tense is Tense.PRESENT:
        phrase = wish(phrase, who.agreement.person == 3)
        return said(Clause(who, preceded(phrase, "내일", "tomorrow"), tense), scene.style)
    return said(Clause(who, _with_day(scene, phrase, tense), tense), scene.style)
