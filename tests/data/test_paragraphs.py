"""Paragraphs with markup become sentence pairs."""

from hypothesis import given
from hypothesis import strategies as st

from kotrans.data.paragraphs import Paragraphs

TWO = ("값을 반환합니다. 없으면 ``None`` 입니다.", "Return the value.  It is ``None`` if there is none.")


def test_a_paragraph_with_equally_many_sentences_becomes_pairs() -> None:
    paragraphs = Paragraphs("rst", split=True)
    assert list(paragraphs([TWO])) == [
        ("값을 반환합니다.", "Return the value."),
        ("없으면 None 입니다.", "It is None if there is none."),
    ]
    assert paragraphs.counts == {"split": 1}


def test_a_paragraph_with_different_numbers_of_sentences_stays_whole() -> None:
    paragraphs = Paragraphs("none", split=True)
    pair = ("값을 반환하고 없으면 없다고 합니다.", "Return the value. Say if there is none.")
    assert list(paragraphs([pair])) == [pair]
    assert paragraphs.counts == {"whole": 1}


def test_without_the_settings_pairs_are_unchanged() -> None:
    paragraphs = Paragraphs()
    assert list(paragraphs([TWO])) == [TWO]
    assert not paragraphs.counts


@given(st.lists(st.tuples(st.text("가다. ?\"'(", max_size=40), st.text("ab. ?\"'(", max_size=40)), max_size=5))
def test_splitting_loses_no_word(pairs: list[tuple[str, str]]) -> None:
    result = list(Paragraphs(split=True)(pairs))
    for side in (0, 1):
        before, after = (" ".join(pair[side] for pair in given).split() for given in (pairs, result))
        assert before == after
