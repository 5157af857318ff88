"""A clause: a subject with a phrase and a tense, in both languages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from conjugation import Stem, attach
from endings import Style, Tense, adnominal, background, joined, question, quoted, statement
from english import Time, inverted, sentence, verb_group
from hangul import with_particle
from lexicon import Person
from phrases import Phrase

PLAIN_TIMES = {Tense.PRESENT: Time.PRESENT, Tense.PAST: Time.PAST, Tense.FUTURE: Time.FUTURE}
# Backshift of tenses in reported speech after "said".
SHIFTED_TIMES = {Tense.PRESENT: Time.PAST, Tense.PAST: Time.PERFECT, Tense.FUTURE: Time.CONDITIONAL}
SUBJECT_FORMS = {"저": "제가", "나": "내가", "너": "네가"}


class Pair(NamedTuple):
    """A Korean text and its English translation."""

    ko: str
    en: str


def topic(person: Person) -> str:
    """Returns the person as the topic: 저는, 어머니께서는."""
    return with_particle(person.ko, "께서는" if person.elder else "은")


def subject(person: Person) -> str:
    """Returns the person as a plain subject: 제가, 어머니께서, 지민 씨가."""
    if person.ko in SUBJECT_FORMS:
        return SUBJECT_FORMS[person.ko]
    return with_particle(person.ko, "께서" if person.elder else "이")


def together(*parts: str) -> str:
    """Joins the parts that are not empty with spaces."""
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Clause:
    """A subject, a phrase and a tense."""

    who: Person
    phrase: Phrase
    tense: Tense = Tense.PRESENT

    def statement(self, style: Style) -> str:
        """Returns the Korean predicate as a main clause."""
        return self._spoken(lambda stem: statement(stem, style, self.tense))

    def question(self, style: Style, blunt: bool = False) -> str:
        """Returns the Korean predicate as a question, with its mark."""
        return self._spoken(lambda stem: question(stem, style, self.tense, blunt))

    def joined(self, ending: str) -> str:
        """Returns the Korean predicate with a joining ending that follows the tense suffix (고, 지만, (으)니까)."""
        return self._spoken(lambda stem: joined(stem, ending, self.tense))

    def linked(self, ending: str) -> str:
        """Returns the Korean predicate with a joining ending without a tense suffix ((아)서, (으)면, 기 전에)."""
        return self._spoken(lambda stem: attach(stem, ending))

    def background(self) -> str:
        """Returns the Korean predicate with -는데."""
        return self._spoken(lambda stem: background(stem, self.tense))

    def quoted(self) -> str:
        """Returns the Korean predicate with -다고."""
        return self._spoken(lambda stem: quoted(stem, self.tense))

    def before_noun(self) -> str:
        """Returns the Korean predicate as a relative clause."""
        return self._spoken(lambda stem: adnominal(stem, self.tense))

    def english(self, shifted: bool = False, pronoun: bool = False) -> str:
        """Returns the English clause, optionally with a pronoun as the subject."""
        time = (SHIFTED_TIMES if shifted else PLAIN_TIMES)[self.tense]
        who = self.who.pronoun if pronoun else self.who.en
        return together(who, self.predicate(time))

    def predicate(self, time: Time | None = None) -> str:
        """Returns the English clause without its subject."""
        phrase = self.phrase
        time = time or PLAIN_TIMES[self.tense]
        verb = verb_group(phrase.head, self.who.agreement, time, phrase.negative, phrase.adverb)
        return together(verb, phrase.rest)

    def asked(self, word: str = "") -> str:
        """Returns the English question, optionally with a question word."""
        phrase = self.phrase
        order = inverted(
            phrase.head, self.who.en, self.who.agreement, PLAIN_TIMES[self.tense], phrase.negative, phrase.adverb
        )
        return sentence(together(word, order, phrase.rest), "?")

    def _spoken(self, finish: Callable[[Stem], str]) -> str:
        return self.phrase.spoken(self.who.elder or "hearer-honor" in self.who.roles).ending(finish)


def said(clause: Clause, style: Style) -> Pair:
    """Returns the clause as a statement."""
    return Pair(f"{topic(clause.who)} {clause.statement(style)}.", sentence(clause.english()))
