"""Greetings, thanks, yes and no."""

from random import Random

import pytest
from endings import Style
from kinds_greetings import EXCHANGES, STYLES, answer, continued, expressions
from scene import Scene


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_something_to_open_and_to_close_with(style: Style) -> None:
    for table in (table for exchange in EXCHANGES for table in exchange):
        found = expressions(table, style)
        assert found
        assert all(pair.ko[-1] in ".?" and pair.en[-1] in ".?" for pair in found)


def test_formal_expressions_end_formally() -> None:
    said = [pair.ko for exchange in EXCHANGES for table in exchange for pair in expressions(table, Style.FORMAL)]
    assert all(line.endswith(("니다.", "십시오.", "니까?")) for line in said), said


@pytest.mark.parametrize(
    ("english", "small"),
    [
        ("My brother ran.", "my brother ran."),
        ("I ran.", "I ran."),
        ("Jimin's house is big.", "Jimin's house is big."),
        ("The child slept.", "the child slept."),
    ],
)
def test_after_a_comma_only_names_and_i_stay_capital(english: str, small: str) -> None:
    assert continued(english) == small


@pytest.mark.parametrize("style", STYLES)
def test_no_goes_with_a_negative_and_yes_with_an_affirmative(style: Style) -> None:
    for seed in range(60):
        pair = answer(Scene(Random(seed), style))
        negative = "n't" in pair.en or " not " in pair.en
        assert pair.en.startswith("No, ") == negative == pair.ko.startswith("아니")
