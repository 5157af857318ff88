"""Counted things: 책 세 권, three books; 커피 두 잔, two cups of coffee."""

from random import Random

from counting import english as number_word
from counting import native_counting
from english import plural
from lexicon import Noun

SMALL_COUNTS = (1, 2, 2, 2, 3, 3, 3, 4, 5)


def counted(noun: Noun, number: int) -> tuple[str, str]:
    """Returns a number of a noun with its counter, in both languages."""
    korean = f"{noun.ko} {native_counting(number)} {noun.counter}"
    if noun.measure:
        measure = noun.measure if number == 1 else plural(noun.measure)
        return korean, f"{number_word(number)} {measure} of {noun.en}"
    return korean, f"{number_word(number)} {noun.en if number == 1 else plural(noun.en)}"


def some_of(rng: Random, noun: Noun) -> tuple[str, str]:
    """Returns a small number of a noun, as for buying or eating."""
    return counted(noun, rng.choice(SMALL_COUNTS))
