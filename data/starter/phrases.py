"""Predicates with their complements, in both languages, and their transformations.

A Phrase has no subject and no ending. Each function below takes a phrase and returns a new one
("eat an apple" becomes "want to eat an apple", 사과를 먹- becomes 사과를 먹고 싶-), so they can be combined.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from conjugation import Kind, Stem, attach
from endings import Tense, adnominal, honored
from english import gerund, participle
from hangul import with_particle

EXIST = Stem("있", kind=Kind.EXISTENCE)
LACK = Stem("없", kind=Kind.EXISTENCE)
DO = Stem("하")


@dataclass(frozen=True)
class Spoken:
    """The Korean side: the words before the verb, and a stem without ending."""

    before: str
    stem: Stem

    def ending(self, finish: Callable[[Stem], str]) -> str:
        """Returns the words with the inflected stem."""
        return f"{self.before} {finish(self.stem)}".strip()

    def form(self, ending: str) -> str:
        """Returns the words with the stem attached to one ending."""
        return self.ending(lambda stem: attach(stem, ending))


@dataclass(frozen=True)
class Phrase:
    """A predicate: `plain` for most subjects, `honor` for subjects with -시-.

    short tells how 안 stands: "before" the stem, in the "middle" of noun + 하다, or "no" (only -지 않다).
    """

    plain: Spoken
    honor: Spoken
    head: str
    rest: str
    short: str = "before"
    negative: bool = False
    adverb: str = ""

    def spoken(self, elder: bool) -> Spoken:
        """Returns the Korean side for a subject."""
        return self.honor if elder else self.plain

    @property
    def bare(self) -> str:
        """The English infinitive without to."""
        return f"{self.head} {self.rest}".strip()

    @property
    def ing(self) -> str:
        """The English -ing form."""
        return f"{gerund(self.head)} {self.rest}".strip()


def both(phrase: Phrase, change: Callable[[Spoken, bool], Spoken]) -> Phrase:
    """Changes the two Korean sides; `change` receives true for the honorific one."""
    return replace(phrase, plain=change(phrase.plain, False), honor=change(phrase.honor, True))


def preceded(phrase: Phrase, ko: str, en: str = "", adverb: str = "") -> Phrase:
    """Puts a time or adverb first in Korean; in English at the end, or next to the verb."""
    changed = both(phrase, lambda spoken, _: replace(spoken, before=f"{ko} {spoken.before}".strip()))
    return replace(changed, rest=f"{phrase.rest} {en}".strip(), adverb=adverb or phrase.adverb)


def negated(phrase: Phrase, short: bool) -> Phrase:
    """Negates with 안 (if the verb allows it) or with -지 않다."""
    if not short or phrase.short == "no":
        changed = both(phrase, _negated_long)
    elif phrase.short == "before":
        changed = both(phrase, lambda spoken, _: replace(spoken, before=f"{spoken.before} 안".strip()))
    else:
        changed = both(phrase, _negated_inside)
    return replace(changed, negative=True)


def _negated_long(spoken: Spoken, honor: bool) -> Spoken:
    """가지 않으시-, but 드시지 않으시-: a suppletive honorific is kept, a regular -시- moves to 않다."""
    base = _without_regular_honor(spoken.stem)
    verb = Stem("않", kind=spoken.stem.kind)
    return Spoken(_add(spoken.before, attach(base, "지")), honored(verb) if honor else verb)


def _negated_inside(spoken: Spoken, honor: bool) -> Spoken:
    noun = _without_regular_honor(spoken.stem).text.removesuffix("하")
    return Spoken(_add(spoken.before, f"{with_particle(noun, '을')} 안"), honored(DO) if honor else DO)


def _without_regular_honor(stem: Stem) -> Stem:
    """Returns the stem without a regular -시-, if it has one."""
    return REGULAR_HONORS.get(stem, stem)


# The plain stem of each regular honorific stem, without suppletive ones (드시다).
REGULAR_HONORS: dict[Stem, Stem] = {}


def honor_of(stem: Stem) -> Stem:
    """Returns the stem with -시-, and records the plain stem."""
    polite = honored(stem)
    REGULAR_HONORS[polite] = stem
    return polite


def _add(before: str, word: str) -> str:
    return f"{before} {word}".strip()


def unable(phrase: Phrase, short: bool) -> Phrase:
    """못 마시- or 마시지 못하-: cannot."""

    def change(spoken: Spoken, honor: bool) -> Spoken:
        if short and phrase.short == "before":
            return replace(spoken, before=_add(spoken.before, "못"))
        base = _without_regular_honor(spoken.stem)
        verb = Stem("못하")
        return Spoken(_add(spoken.before, attach(base, "지")), honor_of(verb) if honor else verb)

    return replace(both(phrase, change), head="can", rest=phrase.bare, negative=True, short="no")


def progressive(phrase: Phrase) -> Phrase:
    """읽고 있-: be reading."""

    def change(spoken: Spoken, honor: bool) -> Spoken:
        base = _without_regular_honor(spoken.stem)
        return Spoken(_add(spoken.before, attach(base, "고")), Stem("계시", "시") if honor else EXIST)

    return replace(both(phrase, change), head="be", rest=phrase.ing, short="no")


def wish(phrase: Phrase, third: bool) -> Phrase:
    """읽고 싶- of oneself or the hearer, 읽고 싶어 하- of others: want to read."""

    def change(spoken: Spoken, honor: bool) -> Spoken:
        base = attach(_without_regular_honor(spoken.stem), "고")
        if third:
            return Spoken(_add(spoken.before, f"{base} 싶어"), honor_of(DO) if honor else DO)
        want = Stem("싶", kind=Kind.ADJECTIVE)
        return Spoken(_add(spoken.before, base), honored(want) if honor else want)

    return replace(both(phrase, change), head="want", rest=f"to {phrase.bare}", short="no")


def able(phrase: Phrase, possible: bool = True) -> Phrase:
    """읽을 수 있- or 없-: can, cannot."""

    def change(spoken: Spoken, _: bool) -> Spoken:
        return Spoken(_add(spoken.before, f"{attach(spoken.stem, '(으)ㄹ')} 수"), EXIST if possible else LACK)

    return replace(both(phrase, change), head="can", rest=phrase.bare, negative=not possible, short="no")


def obliged(phrase: Phrase) -> Phrase:
    """읽어야 하-: have to."""

    def change(spoken: Spoken, _: bool) -> Spoken:
        return Spoken(_add(spoken.before, attach(spoken.stem, "(아)야")), DO)

    return replace(both(phrase, change), head="have", rest=f"to {phrase.bare}", short="no")


def planned(phrase: Phrase) -> Phrase:
    """읽으려고 하-: be planning to."""

    def change(spoken: Spoken, honor: bool) -> Spoken:
        base = _without_regular_honor(spoken.stem)
        return Spoken(_add(spoken.before, attach(base, "(으)려고")), honor_of(DO) if honor else DO)

    return replace(both(phrase, change), head="be", rest=f"planning to {phrase.bare}", short="no")


def experienced(phrase: Phrase, ever: bool = True) -> Phrase:
    """읽은 적이 있- or 없-: have read before, have never read."""

    def change(spoken: Spoken, _: bool) -> Spoken:
        return Spoken(_add(spoken.before, f"{adnominal(spoken.stem, Tense.PAST)} 적이"), EXIST if ever else LACK)

    rest = f"{participle(phrase.head)} {phrase.rest}".strip()
    if ever:
        return replace(both(phrase, change), head="have done", rest=f"{rest} before", short="no")
    return replace(both(phrase, change), head="have done", rest=rest, adverb="never", short="no")
