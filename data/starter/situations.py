"""What follows from what: how somebody is or the weather, and what they do because of it.

An action is named by its English frame, after ":" optionally the object or goal, after "@" the place.
"""

from dataclasses import dataclass

from clauses import Clause
from endings import Tense
from kinds_describing import quality
from kinds_numbers import weather_clause
from lexicon import Adjective, Person, Verb, adjectives, places, places_in, verbs
from phrases import Phrase, preceded
from scene import Scene, fits, objects

STATES = {
    "hungry": "eat {o}:food|eat {o}:menu|order {o}:menu|go {g}:식당|go {g}:빵집|buy {o}:빵|buy {o}:김밥|cook {o}:라면|make {o}:샌드위치",
    "thirsty": "drink {o}:물|drink {o}:주스|drink {o}:콜라|drink {o}:우유|buy {o}:물|buy {o}:주스|go {g}:편의점",
    "tired": "rest@집|rest@방|sleep@집|sleep@방|take a taxi|drink {o}:커피|come {g}:집|go back {g}:집|take a shower|rest",
    "sick": "go {g}:병원|go {g}:약국|take medicine|rest@집|sleep@집|go back {g}:집|lie on the bed",
    "have a headache": "go {g}:병원|go {g}:약국|take medicine|rest@집|rest@방|lie on the bed|go back {g}:집",
    "have a stomachache": "go {g}:병원|go {g}:약국|take medicine|rest@집|lie on the bed|go back {g}:집",
    "bored": "watch {o}:tv|watch {o}:watch|listen to {o}:listen|read {o}:reading|call {w}|draw a picture|go {g}:공원|meet {w}",
    "free": "take a walk@공원|watch {o}:watch|read {o}:reading|meet {w}|clean the house|draw a picture|go {g}:공원|rest@집",
    "sad": "cry|listen to {o}:listen|call {w}|walk@공원|cry@방",
    "happy": "sing a song|dance|laugh|call {w}|call {w}",
    "be in a good mood": "sing a song|dance|laugh|call {w}|play {o}:피아노|play {o}:기타",
    "cold": "wear {o}:warm|drink {o}:hot|close {o}:창문|turn off {o}:에어컨|come {g}:집|buy {o}:warm",
    "hot": "open {o}:창문|turn on {o}:에어컨|drink {o}:물|drink {o}:주스|eat {o}:아이스크림|swim@수영장|take a shower|go {g}:수영장",
}
BUSY = "meet {w}|rest|eat breakfast|eat lunch|watch {o}:watch|exercise|take a walk|sleep|come {g}:집|do homework|call {w}|write {o}:편지"
OUTDOORS = "take a walk@공원|go {g}:공원|exercise@공원|take a picture@공원|ride a bicycle@공원|run@공원|walk@공원|go hiking|go {g}:바다|play {o}:sport|go {g}:동물원|do the laundry|drive"
INDOORS = "watch {o}:tv|watch {o}:watch|read {o}:reading|rest@집|take a taxi|take the bus|come {g}:집|listen to {o}:listen|study@집|drink {o}:hot|play {o}:instrument|wear {o}:warm"
SPOILT = "take a walk|go {g}:공원|exercise@공원|ride a bicycle|go hiking|run@공원|go {g}:바다|play {o}:sport|take a picture@공원"
WEATHER_ACTIONS = {
    "cold": "wear {o}:warm|drink {o}:hot|close {o}:창문|turn off {o}:에어컨|rest@집",
    "hot": "open {o}:창문|turn on {o}:에어컨|drink {o}:주스|eat {o}:아이스크림|eat {o}:냉면|swim@수영장|go {g}:수영장|go {g}:바다",
}
WET = ("rain", "snow")


@dataclass(frozen=True)
class Situation:
    """A cause, what comes of it, and whether the action is one that cannot be done."""

    cause: Clause
    action: Phrase
    hindered: bool

    @property
    def shared(self) -> bool:
        """Whether cause and action have the same subject, so that Korean names it once."""
        return not self.cause.who.en.startswith(("it", "the "))


def action(scene: Scene, who: Person, spec: str) -> Phrase:
    """Return a phrase for one action of the tables above."""
    name, _, place = spec.partition("@")
    verb = scene.rng.choice(frames(who, spec))
    phrase = scene.phrase(verb, who, name.partition(":")[2], decorated=False)
    if place:
        where = places()[place]
        phrase = preceded(phrase, f"{where.ko}에서", where.at)
    return phrase


def frames(who: Person, spec: str) -> list[Verb]:
    """Return the verb frames that an action of the tables above names and that suit the subject."""
    english, _, only = spec.partition("@")[0].partition(":")
    return [verb for verb in verbs() if verb.english == english and fits(verb, who) and _can_take(verb, only)]


def _can_take(verb: Verb, only: str) -> bool:
    if not only or (not verb.fillers and "{w}" in verb.english):
        return True
    return bool(objects(verb, only)) or any(place.ko == only for place in places_in(*verb.fillers))


def state_clause(scene: Scene, who: Person, english: str, tense: Tense, degree: bool) -> Clause:
    """Return "I am hungry" and the like."""
    found: Adjective = next(a for a in adjectives() if a.en == english and "person" in a.describes)
    return Clause(who, quality(scene, found, degree), tense)


def personal(scene: Scene, who: Person, tense: Tense, hindered: bool = False, degree: bool = True) -> Situation:
    """Return a situation that lies in the subject: hungry, tired, busy."""
    if hindered:
        return Situation(state_clause(scene, who, "busy", tense, degree), action(scene, who, _pick(scene, who, BUSY)), True)
    names = [name for name in STATES if not (name in ("bored", "sad", "cold", "hot") and who.agreement.person == 3)]
    name = scene.rng.choice(names)
    return Situation(state_clause(scene, who, name, tense, degree), action(scene, who, _pick(scene, who, STATES[name])), False)


def of_weather(scene: Scene, who: Person, tense: Tense, hindered: bool = False, degree: bool = True) -> Situation:
    """Return a situation made by the weather."""
    good = None if not hindered and scene.chance(0.2) else False if hindered or scene.chance(0.5) else True
    cause = weather_clause(scene, tense, good, degree)
    what = cause.phrase.rest.split()[-1] if cause.phrase.rest else cause.phrase.head
    if hindered:
        table = SPOILT
    elif what in ("good", "warm", "cool"):
        table = OUTDOORS
    else:
        table = WEATHER_ACTIONS.get(what, INDOORS)
    return Situation(cause, action(scene, who, _pick(scene, who, table)), hindered)


def _pick(scene: Scene, who: Person, table: str) -> str:
    """Choose an action of a table that the subject can do."""
    return scene.rng.choice([spec for spec in table.split("|") if frames(who, spec)])

