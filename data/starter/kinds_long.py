"""Longer lines: three clauses in a sentence, or two sentences in a line, of kinds that also occur alone."""

from collections.abc import Callable

from clauses import Clause, Pair, said, topic
from endings import Tense
from english import sentence
from kinds_describing import having, job, located, person_quality, thing_quality
from kinds_embedded import order, proposal, relative, relative_object, reported_statement
from kinds_joined import condition, contrast, occasion, reason, situation
from kinds_numbers import weather
from kinds_sequence import activities, before_after, errand, meanwhile, sequence, suppletive
from kinds_simple import ability, mood, negation, plain_clause, statement
from phrases import unable
from scene import Scene

Kind = Callable[[Scene], Pair]

JOINED: tuple[Kind, ...] = (
    reason, reason, condition, occasion, contrast, sequence, before_after, meanwhile, errand, relative, relative_object,
    reported_statement, order, proposal,
)  # fmt: skip
SHORT: tuple[Kind, ...] = (
    statement,
    statement,
    statement,
    negation,
    mood,
    mood,
    ability,
    person_quality,
    weather,
    thing_quality,
    job,
    located,
    having,
)


def therefore(scene: Scene) -> Pair:
    """비가 왔어요. 그래서 저는 집에서 쉬었어요."""
    who = scene.with_pronoun()
    hindered = scene.chance(0.3)
    case = situation(scene, who, Tense.PAST, hindered, degree=True)
    action = unable(case.action, scene.chance(0.6)) if hindered else case.action
    main = Clause(who, action, Tense.PAST)
    cause = case.cause
    first = topic(who) if case.shared else cause.who.ko
    korean = f"{first} {cause.statement(scene.style)}. 그래서 {main.statement(scene.style)}."
    if not case.shared:
        korean = f"{first} {cause.statement(scene.style)}. 그래서 {topic(who)} {main.statement(scene.style)}."
    return Pair(korean, f"{sentence(cause.english())} {sentence('so ' + main.english(pronoun=case.shared))}")


def two_things_because(scene: Scene) -> Pair:
    """비가 와서 저는 집에서 책을 읽고 텔레비전을 봤어요."""
    who = scene.with_pronoun()
    case = situation(scene, who, Tense.PAST, False)
    second = activities(scene, who)[1]
    # 가고 alone cannot express going somewhere and then doing something elsewhere.
    if case.action.head in (second.head, "go", "come", "cry", "lie", "sleep"):
        return reason(scene)
    link = case.cause.linked("(아)서")
    lead = f"{topic(who)} {link}" if case.shared else f"{case.cause.who.ko} {link} {topic(who)}"
    both = case.action.spoken(who.elder and suppletive(case.action)).form("고")
    last = Clause(who, second, Tense.PAST)
    cause = case.cause.english(pronoun=case.shared)
    actions = f"{Clause(who, case.action, Tense.PAST).english()} and {last.predicate()}"
    return Pair(f"{lead} {both} {last.statement(scene.style)}.", sentence(f"{actions} because {cause}"))


def two_sentences(scene: Scene) -> Pair:
    """Returns two sentences, one of which may have two clauses."""
    if scene.chance(0.6):
        # Actions of two people.
        tense = scene.rng.choice((Tense.PAST, Tense.PAST, Tense.FUTURE))
        first, second = (said(plain_clause(scene, who, tense), scene.style) for who in (scene.subject(), scene.third()))
    else:
        first, second = scene.rng.choice(SHORT)(scene), scene.rng.choice(SHORT)(scene)
    return Pair(f"{first.ko} {second.ko}", f"{first.en} {second.en}")


def joined_and_more(scene: Scene) -> Pair:
    """Returns a sentence of two clauses and another sentence, in either order."""
    pairs = [scene.rng.choice(JOINED)(scene), scene.rng.choice(SHORT)(scene)]
    if scene.chance(0.4):
        pairs.reverse()
    return Pair(" ".join(pair.ko for pair in pairs), " ".join(pair.en for pair in pairs))


def two_joined(scene: Scene) -> Pair:
    """Returns two sentences of two clauses each."""
    first, second = scene.rng.choice(JOINED)(scene), scene.rng.choice(JOINED)(scene)
    return Pair(f"{first.ko} {second.ko}", f"{first.en} {second.en}")


LONGER: tuple[Kind, ...] = (
    therefore,
    two_things_because,
    two_sentences,
    two_sentences,
    joined_and_more,
    joined_and_more,
    two_joined,
)
