"""Situations and consequences: the state of somebody or the weather, and the resulting actions."""

from dataclasses import dataclass

from clauses import Clause
from endings import Tense
from kinds_describing import quality
from kinds_numbers import weather_clause
from lexicon import Adjective, Person, Verb, actions, adjectives, places, places_in, verbs
from phrases import Phrase, preceded
from scene import Scene, fits, objects

STATES = (
    "hungry", "thirsty", "tired", "sick", "have a headache", "have a stomachache", "bored", "free", "sad", "happy",
    "be in a good mood", "cold", "hot",
)  # fmt: skip
FINE = ("good", "warm", "cool")


@dataclass(frozen=True)
class Situation:
    """A cause, its consequence, and whether the action is impossible."""

    cause: Clause
    action: Phrase
    shared: bool  # true if cause and action have the same subject, which Korean names once


def action(scene: Scene, who: Person, spec: str) -> Phrase:
    """Returns a phrase for one action of the tables above."""
    name, _, place = spec.partition("@")
    verb = scene.rng.choice(frames(who, spec))
    phrase = scene.phrase(verb, who, name.partition(":")[2], decorated=False)
    if place:
        where = places()[place]
        phrase = preceded(phrase, f"{where.ko}에서", where.at)
    return phrase


def frames(who: Person, spec: str) -> list[Verb]:
    """Returns the verb frames of an action of the tables above that fit the subject."""
    english, _, only = spec.partition("@")[0].partition(":")
    return [verb for verb in verbs() if verb.english == english and fits(verb, who) and _can_take(verb, only)]


def _can_take(verb: Verb, only: str) -> bool:
    if not only or (not verb.fillers and "{w}" in verb.english):
        return True
    return bool(objects(verb, only)) or any(place.ko == only for place in places_in(*verb.fillers))


def state_clause(scene: Scene, who: Person, english: str, tense: Tense, degree: bool) -> Clause:
    """Returns a clause such as "I am hungry"."""
    found: Adjective = next(a for a in adjectives() if a.en == english and "person" in a.describes)
    return Clause(who, quality(scene, found, degree), tense)


def personal(scene: Scene, who: Person, tense: Tense, hindered: bool = False, degree: bool = True) -> Situation:
    """Returns a situation of the subject: hungry, tired, busy."""
    if hindered:
        return Situation(
            state_clause(scene, who, "busy", tense, degree), action(scene, who, pick(scene, who, "busy")), shared=True
        )
    names = [name for name in STATES if not (name in ("bored", "sad", "cold", "hot") and who.agreement.person == 3)]
    name = scene.rng.choice(names)
    return Situation(
        state_clause(scene, who, name, tense, degree), action(scene, who, pick(scene, who, name)), shared=True
    )


def of_weather(scene: Scene, who: Person, tense: Tense, hindered: bool = False, degree: bool = True) -> Situation:
    """Returns a weather situation."""
    good = None if not hindered and scene.chance(0.2) else not (hindered or scene.chance(0.5))
    cause = weather_clause(scene, tense, good, degree)
    what = cause.phrase.rest.split()[-1] if cause.phrase.rest else cause.phrase.head
    if hindered and what == "hot":
        return of_weather(scene, who, tense, hindered, degree)
    key = "spoilt" if hindered else "outdoors" if what in FINE else "indoors"
    if not hindered and what in ("cold", "hot"):
        key = f"{what} weather"
    return Situation(cause, action(scene, who, pick(scene, who, key)), shared=False)


def pick(scene: Scene, who: Person, key: str) -> str:
    """Chooses an action of a situation that the subject can do."""
    return scene.rng.choice([spec for spec in actions()[key] if frames(who, spec)])
