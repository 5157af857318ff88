"""Longer lines: three clauses in a sentence, or two sentences in a line, all of kinds that also stand alone."""

from collections.abc import Callable
from dataclasses import replace

from clauses import Clause, Pair, said, topic
from endings import Style, Tense
from english import sentence
from kinds_describing import having, job, located, person_quality, thing_quality
from kinds_embedded import proposal, order, relative, relative_object, reported_statement
from kinds_joined import activities, before_after, condition, contrast, errand, meanwhile, occasion, reason, sequence, situation
from kinds_numbers import weather
from kinds_simple import ability, mood, negation, statement
from phrases import Phrase, unable
from scene import Scene

Kind = Callable[[Scene], Pair]

JOINED: tuple[Kind, ...] = (
    reason, reason, condition, occasion, contrast, sequence, before_after, meanwhile, errand, relative, relative_object,
    reported_statement, order, proposal,
)  # fmt: skip
SHORT: tuple[Kind, ...] = (statement, statement, statement, negation, mood, mood, ability, person_quality, weather, thing_quality, job, located, having)
CONNECTORS = (("그리고", "and"), ("그런데", "but"), ("하지만", "however,"))


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


def afterwards(scene: Scene) -> Pair:
    """저는 어제 점심을 먹고 도서관에 갔어요. 그 후에 집에서 쉬었어요."""
    first = sequence(scene)
    scene.seen.clear()
    return _then(scene, first)


def _then(scene: Scene, first: Pair) -> Pair:
    second = statement(scene)
    return Pair(f"{first.ko} {second.ko}", f"{first.en} {second.en}")


def two_things_because(scene: Scene) -> Pair:
    """비가 와서 저는 집에서 책을 읽고 텔레비전을 봤어요."""
    who = scene.with_pronoun()
    case = situation(scene, who, Tense.PAST, False)
    second = activities(scene, who)[1]
    if second.head == case.action.head:
        return reason(scene)
    spoken = case.action.spoken(False).form("고")
    lead = f"{topic(who)} {case.cause.linked('(아)서')}" if case.shared else f"{case.cause.who.ko} {case.cause.linked('(아)서')} {topic(who)}"
    last = Clause(who, second, Tense.PAST)
    english = f"{Clause(who, case.action, Tense.PAST).english()} and {last.predicate()} because {case.cause.english(pronoun=case.shared)}"
    return Pair(f"{lead} {spoken} {last.statement(scene.style)}.", sentence(english))


def two_sentences(scene: Scene) -> Pair:
    """Two sentences on a line, of which one may have two clauses."""
    first = scene.rng.choice(SHORT)(scene)
    second = scene.rng.choice(SHORT)(scene)
    return Pair(f"{first.ko} {second.ko}", f"{first.en} {second.en}")


def joined_and_more(scene: Scene) -> Pair:
    """A sentence of two clauses and another sentence, in either order."""
    pairs = [scene.rng.choice(JOINED)(scene), scene.rng.choice(SHORT)(scene)]
    if scene.chance(0.4):
        pairs.reverse()
    return Pair(" ".join(pair.ko for pair in pairs), " ".join(pair.en for pair in pairs))


def two_joined(scene: Scene) -> Pair:
    """Two sentences of two clauses each."""
    first, second = scene.rng.choice(JOINED)(scene), scene.rng.choice(JOINED)(scene)
    return Pair(f"{first.ko} {second.ko}", f"{first.en} {second.en}")


LONGER: tuple[Kind, ...] = (therefore, two_things_because, two_sentences, two_sentences, joined_and_more, joined_and_more, two_joined)
