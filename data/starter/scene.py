"""Chooses subjects, objects, places and times that fit together."""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from endings import Style, Tense, adnominal
from english import Agreement
from hangul import final_of, with_particle
from lexicon import Adjective, Noun, Person, Place, Verb, adjectives, nouns, nouns_in, people, places, places_in, verbs
from phrases import Phrase, Spoken, preceded
from quantities import some_of
from timewords import FUTURE_DAYS, PAST_DAYS, TimeWord, day_time, week_time, year_time

SPEAKER_ROLES = frozenset({"adult", "learner", "self"})
WE = Person("우리", "we", "we", "", SPEAKER_ROLES, Agreement(1, True))
YOU = Person("너", "you", "you", "", SPEAKER_ROLES | {"hearer"}, Agreement(2))
POSSESSIVES = {"I": "my", "you": "your", "he": "his", "she": "her", "we": "our", "they": "their"}
# Adverbs that precede the object, with their English; others directly precede the verb.
EARLY_ADVERBS = {"혼자": "alone", "친구하고": "with a friend"}
ADVERBS = EARLY_ADVERBS | {
    "천천히": "slowly",
    "빨리": "quickly",
    "일찍": "early",
    "늦게": "late",
    "조용히": "quietly",
    "열심히": "hard",
    "조심해서": "carefully",
    "잘": "well",
}
SLOT = re.compile(r"\{(peer|elder|o|g|p)(\w+)\}")
# 하다 verbs whose first part is not a noun that could take 을/를.
UNSPLIT = ("좋아하", "싫어하", "사랑하")
SEVERAL_VERBS = ("buy", "plant", "give", "sell")
SEVERAL = {"fruit", "vegetable", "flower", "plant", "cheap"}
COUNTABLE_VERBS = ("buy {o}", "eat {o}", "drink {o}", "read {o}", "order {o}", "write {o}", "receive {o}", "plant {o}")


def fits(verb: Verb, who: Person) -> bool:
    """Returns true if the subject can perform the action."""
    missing = verb.flags & {"adult", "learner"} - who.roles
    too_lively = "lively" in verb.flags and "old" in who.roles
    return not missing and not too_lively and not ("{poss}" in verb.english and who.pronoun == "-")


def some(noun: Noun, verb: Verb, adjective: str = "") -> str:
    """Returns an object without a number: people buy apples and plant trees, but eat an apple."""
    several = verb.english.startswith(SEVERAL_VERBS) and noun.classes & SEVERAL
    return noun.generic(adjective) if several else noun.indefinite(adjective)


def objects(verb: Verb, only: str = "") -> list[Noun]:
    """Returns the possible objects of the verb; `only` limits them to a class or a noun."""
    named = [nouns()[name] for name in verb.fillers if name in nouns()]
    found = named + nouns_in(*verb.fillers)
    return [noun for noun in found if not only or noun.ko == only or only in noun.classes]


def before_noun(adjective: Adjective) -> str:
    """Returns the attributive form of the adjective: 예쁜, 재미있는, 빨간."""
    return adnominal(adjective.stem, Tense.PRESENT)


def _short_negation(verb: Verb) -> str:
    text = verb.stem.text
    if not text.endswith("하") or len(text) == 1 or text in UNSPLIT:
        return "before"
    return "no" if re.search(r"\{(o|g|p을|peer을)|[을를]$", verb.frame) else "middle"


def i_am(style: Style) -> Person:
    """Returns the speaker in the form of the style."""
    return Person("저" if style.humble else "나", "I", "I", "", SPEAKER_ROLES, Agreement(1))


class Scene:
    """The speaker of a sentence or line, with random decisions from `rng`."""

    def __init__(self, rng: Random, style: Style) -> None:
        self.rng = rng
        self.style = style
        self.seen: set[str] = set()  # people already mentioned
        self.gender = rng.choice(("male", "female"))  # selects 형 or 오빠, 누나 or 언니

    def chance(self, probability: float) -> bool:
        """Returns true with a probability."""
        return self.rng.random() < probability

    def styled(self, person: Person) -> Person:
        """Returns the person in the form of the style: 지민 씨, 지민이, 우리 어머니, 내 친구."""
        self.seen.add(person.en)
        if "name" in person.roles:
            tail = " 씨" if self.style.humble else "이" if self.style is Style.CASUAL and final_of(person.ko) else ""
            return replace(person, ko=person.ko + tail)
        owner = person.possessor
        if owner == "제" and not self.style.humble:
            owner = "내"
        if person.elder and self.chance(0.6):
            owner = ""
        return replace(person, ko=f"{owner} {person.ko}".strip())

    def third(self, suits: Callable[[Person], bool] = lambda person: True) -> Person:
        """Returns a third person; names are more frequent than family."""
        other = {"male": "female", "female": "male"}[self.gender]
        suited = [person for person in people() if other not in person.roles and suits(person)]
        free = [person for person in suited if person.en not in self.seen] or suited
        names = [person for person in free if "name" in person.roles]
        return self.styled(self.rng.choice(names if names and self.chance(0.4) else free))

    def subject(self, suits: Callable[[Person], bool] = lambda person: True) -> Person:
        """Returns a subject for a statement."""
        chance = self.rng.random()
        speaker = i_am(self.style) if chance < 0.34 else WE
        if chance < 0.42 and suits(speaker):
            return speaker
        return self.third(suits)

    def with_pronoun(self) -> Person:
        """Returns a subject that English can repeat as a pronoun."""
        return self.subject(lambda person: person.pronoun != "-")

    def verb(self, suits: Callable[[Verb], bool]) -> Verb:
        """Returns a verb frame; every verb is equally likely regardless of its number of frames."""
        found = [verb for verb in verbs() if suits(verb)]
        head = self.rng.choice(sorted({verb.english for verb in found}))
        return self.rng.choice([verb for verb in found if verb.english == head])

    def named_verb(self, english: str, who: Person) -> Verb:
        """Returns a frame with this English that fits the subject."""
        return self.rng.choice([verb for verb in verbs() if verb.english == english and fits(verb, who)])

    def phrase(self, verb: Verb, who: Person, only: str = "", decorated: bool = True, generic: bool = False) -> Phrase:
        """Fills a verb frame for a subject; `only` sets the object or goal, `decorated` allows place and adverb."""
        words = {"poss": POSSESSIVES.get(who.pronoun, "")}
        words |= {"face": "faces", "leg": "legs"} if who.agreement.plural else {"face": "face", "leg": "leg"}
        detail = "kind" if generic else "full" if decorated else "bare"
        frame = SLOT.sub(lambda match: self._fill(match, verb, who, only, words, detail), verb.frame)
        place_ko, place_en = self.place(verb, who) if decorated else ("", "")
        adverbs = [word for word in verb.adverbs if not ("friend" in who.en and word == "친구하고")]
        told = "manner" in verb.flags or (decorated and adverbs and self.chance(0.25))
        adverb = self.rng.choice(adverbs) if told else ""
        early, late = (adverb, "") if adverb in EARLY_ADVERBS else ("", adverb)
        if adverb and place_ko and self.chance(0.5):
            place_ko = place_en = ""
        before = " ".join(part for part in (early, place_ko, frame, late) if part)
        head, _, rest = verb.english.format(**words).partition(" ")
        rest = " ".join(part for part in (rest, ADVERBS.get(adverb, ""), place_en) if part)
        return Phrase(Spoken(before, verb.stem), Spoken(before, verb.honor), head, rest, _short_negation(verb))

    def _fill(self, slot: re.Match[str], verb: Verb, who: Person, only: str, words: dict[str, str], detail: str) -> str:
        kind, particle = slot.groups()
        if kind in ("peer", "elder"):
            other = self.companion(who, kind)
            words["w"] = other.en
            return with_particle(other.ko, particle)
        if kind in ("g", "p"):
            place = self._goal(verb, who, only)
            words.update(g=place.to, at=place.at, p=place.en)
            return with_particle(place.ko, particle)
        noun = self._object(verb, only)
        ko, words["o"] = self.object_words(noun, verb, detail)
        number = ko.removeprefix(f"{noun.ko} ")
        if number != ko and self.chance(0.5):
            return f"{with_particle(noun.ko, particle)} {number}"  # 책을 두 권 beside 책 두 권을
        return with_particle(ko, particle)

    def companion(self, who: Person, kind: str) -> Person:
        """Returns a person the subject interacts with; family only if the subject is the speaker."""
        own = who.pronoun == "I"

        def suits(person: Person) -> bool:
            allowed = "name" in person.roles or (own and "kin" in person.roles and person.pronoun != "they")
            if kind == "elder":
                allowed = person.en in ("the teacher", "the boss") or (own and person.elder and "kin" in person.roles)
            return allowed and person.elder == (kind == "elder") and person.en != "my friend" and person.en != who.en

        if kind == "peer" and self.chance(0.25):
            return Person("친구", "a friend", "-", "", frozenset())
        return self.third(suits)

    def _goal(self, verb: Verb, who: Person, only: str) -> Place:
        found = places_in(*([only] if only else verb.fillers))
        roles = [place for place in found if not place.classes & {"adult", "learner"} - who.roles]
        return self.rng.choice(roles)

    def _object(self, verb: Verb, only: str) -> Noun:
        return self.rng.choice(objects(verb, only))

    def object_words(self, noun: Noun, verb: Verb, detail: str) -> tuple[str, str]:
        """Returns the object in both languages; detail "full" may add an adjective or number, "kind" is the class."""
        if detail == "kind" or "like" in verb.flags:
            return noun.ko, noun.generic()
        if "the" in verb.flags:
            return noun.ko, f"the {noun.en}"
        if detail == "full" and "solo" not in verb.flags and noun.number != "the":
            if self.chance(0.07):
                return self._two_objects(noun, verb)
            if self.chance(0.22):
                return self._described(noun, verb)
            if noun.counter and verb.english in COUNTABLE_VERBS and self.chance(0.4):
                return some_of(self.rng, noun)
        return noun.ko, some(noun, verb)

    def _two_objects(self, noun: Noun, verb: Verb) -> tuple[str, str]:
        """Returns the noun with another of its class: 빵과 우유, bread and milk."""
        others = [n for n in objects(verb) if n != noun and n.classes & noun.classes and n.number != "the"]
        if not others:
            return noun.ko, some(noun, verb)
        other = self.rng.choice(others)
        link = "하고" if self.chance(0.3) else "과"
        return f"{with_particle(noun.ko, link)} {other.ko}", f"{some(noun, verb)} and {some(other, verb)}"

    def _described(self, noun: Noun, verb: Verb) -> tuple[str, str]:
        found = [a for a in adjectives() if "before" in a.flags and a.describes & noun.classes]
        if not found:
            return noun.ko, some(noun, verb)
        adjective = self.rng.choice(found)
        return f"{before_noun(adjective)} {noun.ko}", some(noun, verb, adjective.en)

    def place(self, verb: Verb, who: Person) -> tuple[str, str]:
        """Returns a place for the action, or nothing, in both languages."""
        # Teaching and working happen at schools and offices for every subject.
        free = "adult" in verb.flags
        found = [places()[name] for name in verb.places]
        found = [place for place in found if free or not place.classes & {"adult", "learner"} - who.roles]
        if not found or not self.chance(0.4):
            return "", ""
        place = self.rng.choice(found)
        return f"{place.ko}에서", place.at

    def when(self, verb: Verb, tense: Tense, precise: bool = True) -> TimeWord | None:
        """Returns a time that fits verb and tense, or None."""
        if "feeling" in verb.flags:
            return None
        if "big" in verb.flags:
            return None if tense is Tense.PRESENT or self.chance(0.3) else year_time(self.rng, tense)
        if "week" in verb.flags and tense is not Tense.PRESENT:
            return week_time(self.rng, tense)
        # Without a time, the present is ambiguous between today and every day.
        if tense is not Tense.PRESENT and self.chance(0.25):
            return None
        precise = precise and "chance" not in verb.flags
        if "brief" in verb.flags:
            return self.rng.choice([time for time in (PAST_DAYS if tense is Tense.PAST else FUTURE_DAYS) if time.part])
        while True:
            time = day_time(self.rng, tense)
            daily = "clocked" in verb.flags or "{poss}" in verb.english
            wrong = ("clocked" in verb.flags and time.part) or (daily and time.en.endswith(" week"))
            if not wrong and (precise or not time.precise):
                return time

    def timed(self, verb: Verb, phrase: Phrase, tense: Tense, precise: bool = True) -> Phrase:
        """Adds a time to a phrase made from the verb; `precise` allows an hour."""
        time = self.when(verb, tense, precise)
        return preceded(phrase, time.ko, time.en, time.adverb) if time else phrase
