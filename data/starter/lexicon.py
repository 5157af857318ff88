"""The words of the corpus, read from the tables in words/."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conjugation import Kind, Stem
from english import Agreement, plural, with_article
from phrases import honor_of

SINGULAR = Agreement()
WORDS = Path(__file__).resolve().parent / "words"


@dataclass(frozen=True)
class Noun:
    """A thing; number is a, m (mass), p (plural only) or the."""

    ko: str
    en: str
    number: str
    counter: str
    measure: str
    classes: frozenset[str]

    @property
    def agreement(self) -> Agreement:
        """The agreement of a verb with the singular noun."""
        return Agreement(3, self.number == "p")

    def indefinite(self, adjective: str = "") -> str:
        """Returns the noun at its first mention: a red hat, warm milk, the newspaper."""
        phrase = f"{adjective} {self.en}".strip()
        if self.number == "the":
            return f"the {phrase}"
        return with_article(phrase) if self.number == "a" else phrase

    def generic(self, adjective: str = "") -> str:
        """Returns the noun for several things or the whole class: hats, red hats, milk."""
        return f"{adjective} {plural(self.en)}".strip() if self.number == "a" else self.indefinite(adjective)

    def pointed(self, near: bool) -> str:
        """Returns the noun with this/these or that/those."""
        if self.number == "p":
            return f"{'these' if near else 'those'} {self.en}"
        return f"{'this' if near else 'that'} {self.en}"


@dataclass(frozen=True)
class Place:
    """A place with its English phrases for being there and going there."""

    ko: str
    en: str
    at: str
    to: str
    classes: frozenset[str]


@dataclass(frozen=True)
class Person:
    """A person that sentences can be about."""

    ko: str
    en: str
    pronoun: str
    possessor: str
    roles: frozenset[str]
    agreement: Agreement = SINGULAR

    @property
    def elder(self) -> bool:
        """True if Korean uses 께서 and -시- for this person."""
        return "elder" in self.roles


@dataclass(frozen=True)
class Verb:
    """A verb with its frame and restrictions."""

    stem: Stem
    honor: Stem
    frame: str
    english: str
    fillers: tuple[str, ...]
    places: tuple[str, ...]
    adverbs: tuple[str, ...]
    flags: frozenset[str]


@dataclass(frozen=True)
class Adjective:
    """An adjective or a fixed predicate that behaves like one; `before` has the words before the stem."""

    before: str
    stem: Stem
    honor: Stem
    en: str
    describes: frozenset[str]
    flags: frozenset[str]


def _rows(table: str) -> Iterator[list[str]]:
    for line in (WORDS / f"{table}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield [cell.strip() for cell in line.split("|")]


def _stem(form: str, group: str, kind: Kind) -> Stem:
    return Stem(form.removesuffix("다"), "" if group == "-" else group, kind)


@cache
def nouns() -> dict[str, Noun]:
    """Returns every noun by its Korean form."""
    found = {}
    for ko, en, number, counting, classes in _rows("nouns"):
        counter, _, measure = counting.partition(":")
        found[ko] = Noun(ko, en, number, counter, measure, frozenset(classes.split()))
    return found


@cache
def places() -> dict[str, Place]:
    """Returns every place by its Korean form, a space in it written as _."""
    return {
        ko.replace(" ", "_"): Place(ko, en, at, to, frozenset(classes.split()))
        for ko, en, at, to, classes in _rows("places")
    }


@cache
def people() -> tuple[Person, ...]:
    """Returns all people except the speaker and the hearer."""
    return tuple(
        Person(ko, en, pronoun, possessor, frozenset(roles.split()), Agreement(3, pronoun == "they"))
        for ko, en, pronoun, possessor, roles in _rows("people")
    )


@cache
def verbs() -> tuple[Verb, ...]:
    """Returns every verb frame."""
    found = []
    for form, group, honor, frame, english, fillers, at, adverbs, flags in _rows("verbs"):
        stem = _stem(form, group, Kind.VERB)
        polite = Stem(honor, "시") if honor else honor_of(stem)
        lists = (tuple(fillers.split()), tuple(at.split()), tuple(adverbs.split()))
        found.append(Verb(stem, polite, frame, english, *lists, frozenset(flags.split())))
    return tuple(found)


@cache
def adjectives() -> tuple[Adjective, ...]:
    """Returns every adjective."""
    found = []
    for form, group, en, describes, flags in _rows("adjectives"):
        before, _, last = form.rpartition(" ")
        kind = Kind.EXISTENCE if last.endswith("있다") else Kind.ADJECTIVE
        stem = _stem(last, group, kind)
        honor = [flag.removeprefix("hon=") for flag in flags.split() if flag.startswith("hon=")]
        polite = Stem(honor[0], "시", kind) if honor else honor_of(stem)
        found.append(Adjective(before, stem, polite, en, frozenset(describes.split()), frozenset(flags.split())))
    return tuple(found)


@cache
def actions() -> dict[str, tuple[str, ...]]:
    """Returns the actions of each situation in actions.txt; lines of the same key are joined."""
    found: dict[str, tuple[str, ...]] = {}
    for first, *others in _rows("actions"):
        key, _, spec = first.partition(" = ")
        found[key] = (*found.get(key, ()), spec, *others)
    return found


def nouns_in(*classes: str) -> list[Noun]:
    """Returns the nouns of any of the classes, in the order of the table."""
    return [noun for noun in nouns().values() if noun.classes.intersection(classes)]


def places_in(*classes: str) -> list[Place]:
    """Returns the places of any of the classes (or with that name), in the order of the table."""
    return [place for name, place in places().items() if name in classes or place.classes.intersection(classes)]
