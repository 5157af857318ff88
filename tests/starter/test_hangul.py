"""Syllables and particles."""

import pytest
from hangul import build, final_of, split, with_final, with_particle


@pytest.mark.parametrize(
    ("syllable", "parts"),
    [("가", ("ㄱ", "ㅏ", "")), ("값", ("ㄱ", "ㅏ", "ㅄ")), ("힣", ("ㅎ", "ㅣ", "ㅎ")), ("웠", ("ㅇ", "ㅝ", "ㅆ"))],
)
def test_a_syllable_is_split_into_its_letters_and_built_from_them_again(
    syllable: str, parts: tuple[str, str, str]
) -> None:
    assert split(syllable) == parts
    assert build(*parts) == syllable


def test_splitting_something_other_than_a_syllable_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a Hangul syllable"):
        split("A")


def test_the_final_consonant_of_a_word_can_be_read_and_replaced() -> None:
    assert final_of("학생") == "ㅇ"
    assert final_of("의사") == ""
    assert with_final("걷", "ㄹ") == "걸"


@pytest.mark.parametrize(
    ("word", "particle", "expected"),
    [
        ("책", "은", "책은"),
        ("사과", "은", "사과는"),
        ("책", "이", "책이"),
        ("사과", "이", "사과가"),
        ("책", "을", "책을"),
        ("사과", "을", "사과를"),
        ("책", "과", "책과"),
        ("사과", "과", "사과와"),
        ("집", "으로", "집으로"),
        ("학교", "으로", "학교로"),
        ("서울", "으로", "서울로"),
        ("서울", "을", "서울을"),
        ("책", "이나", "책이나"),
        ("사과", "이나", "사과나"),
        ("학교", "에서", "학교에서"),
        ("집", "에서", "집에서"),
        ("어머니", "께서는", "어머니께서는"),
    ],
)
def test_a_particle_agrees_with_the_end_of_the_word(word: str, particle: str, expected: str) -> None:
    assert with_particle(word, particle) == expected
