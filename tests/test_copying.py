"""What is copied from a source into its translation, and what is left as the model said it."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kotrans.copying import Copy, copy_over, words_copied
from kotrans.text import normalize
from kotrans.verbatim import in_common
from kotrans.words import word_spans, word_text

PIECES = st.lists(
    st.sampled_from(
        ["▁", "▁the", "▁Py", "Mem", "_", "x", "▁12", "3", ",", "▁A", "-", ".", "를", "Ａ", "<0xEC>", "<0x9D>"]
    ),
    min_size=1,
    max_size=12,
)


def looking(target: Sequence[str], source: Sequence[str], at: dict[int, int], weight: float = 0.9) -> Tensor:
    """Weights (T, S): the target pieces `at` look at the source piece beside them, the others at the last one."""
    weights = torch.zeros(len(target), len(source))
    for row in range(len(target)):
        weights[row, -1] = 1 - weight
        weights[row, at.get(row, len(source) - 1)] += weight
    return weights


def text_of(pieces: Sequence[str]) -> str:
    return " ".join(word for word in (word_text(pieces[s.start : s.stop]) for s in word_spans(pieces)) if word)


def copied(source: Sequence[str], target: Sequence[str], at: dict[int, int], weight: float = 0.9) -> str:
    return copy_over(text_of(target), source, target, looking(target, source, at, weight))[0]


def test_a_misspelt_word_is_spelt_as_the_word_that_it_looked_at() -> None:
    source = ["▁Py", "Mem", "_Setup", "를", "▁부", "른", "다"]
    target = ["▁Call", "▁Py", "M", "um", "_Se", "()", "."]
    text, copies = copy_over(text_of(target), source, target, looking(target, source, {1: 0, 2: 1, 3: 1, 4: 2}))
    assert text == "Call PyMem_Setup()."
    assert copies == [Copy(1, 5, "PyMum_Se", "PyMem_Setup")]


def test_the_one_of_several_words_is_taken_that_was_looked_at() -> None:
    source, target = ["▁pa", "ck", ",", "▁pa", "th"], ["▁pa", "t", ",", "▁pa", "tt"]
    assert copied(source, target, {0: 3, 1: 4, 3: 0, 4: 1}) == "path, pack"


def test_a_number_is_put_right_and_one_that_is_written_otherwise_stays() -> None:
    source = ["▁12", "34", "5", "개"]
    assert copied(source, ["▁12", "35", "▁of"], {0: 0, 1: 1}) == "12345 of"
    assert copied(source, ["▁12", ",", "34", "5", "▁of"], {0: 0, 1: 1}) == "12,345 of"
    assert copied(source, ["▁the", "34", "▁of"], {0: 0, 1: 1}) == "12345 of"
    assert copied(source, ["▁cd", "▁of"], {0: 0}) == "cd of"
    assert copied(["▁1", ",", "000", "▁77", "7"], ["▁1", "000"], {0: 3, 1: 4}) == "1000"


@pytest.mark.parametrize(("weight", "expected"), [(0.9, "kubectl"), (0.05, "kubect")])
def test_a_word_that_looked_elsewhere_stays(weight: float, expected: str) -> None:
    assert copied(["▁kube", "ctl", "은"], ["▁kube", "ct"], {0: 0, 1: 1}, weight) == expected


@pytest.mark.parametrize(("said", "expected"), [(["▁of"], "of"), (["▁o", "f"], "Gtk"), (["▁gt"], "Gtk")])
def test_a_word_of_one_piece_must_be_like_what_it_hardly_looked_at(said: list[str], expected: str) -> None:
    assert copied(["▁Gt", "k", "의"], said, {0: 0, 1: 1}, 0.2) == expected


def test_the_surest_pair_comes_first() -> None:
    assert copied(["▁Gt", "k", "의"], ["▁of", "▁Gt", "x"], {0: 0, 1: 0, 2: 1}, 0.7) == "of Gtk"


def test_a_word_that_has_one_of_the_source_in_it_stays() -> None:
    assert copied(["▁KDE", ",", "▁Gt", "k"], ["▁KDE", "-", "ba", "sed"], {0: 2, 1: 2, 2: 3}) == "KDE-based"


def test_what_the_translation_has_often_enough_is_not_copied_again() -> None:
    source = ["▁Gt", "k", "의"]
    assert copied(source, ["▁Gt", "k", "▁Gt", "q"], {0: 0, 1: 1, 2: 0, 3: 1}) == "Gtk Gtq"
    assert copied([*source, *source], ["▁Gt", "k", "▁Gt", "q"], {0: 0, 1: 1, 2: 0, 3: 1}) == "Gtk Gtk"


@given(PIECES, PIECES, st.integers(0, 99))
def test_whatever_is_copied_loses_no_word_of_the_source_and_says_what_it_did(
    source: list[str], target: list[str], seed: int
) -> None:
    weights = torch.rand(len(target), len(source), generator=torch.Generator().manual_seed(seed)).pow(8)
    weights = weights / weights.sum(1, keepdim=True)
    said = text_of(target)
    text, copies = copy_over(said, source, target, weights)
    for kind in ("word", "number"):
        there = text_of(source)
        assert in_common(there, text, kind) >= in_common(there, said, kind)
    assert [copy.begin for copy in copies] == sorted(copy.begin for copy in copies)
    words = [word for word in words_copied(target, copies) if word]
    assert " ".join(words) == normalize(text)
    for copy in copies:
        assert copy.said in text_of(target[copy.begin : copy.end])
        assert copy.copied != copy.said


def test_what_is_copied_into_a_word_of_several_tokens_stands_where_it_was_said() -> None:
    source, target = ["▁13", "/", "5", "에"], ["▁13", "/", "3"]
    text, copies = copy_over("13/3", source, target, looking(target, source, {0: 0, 2: 2}))
    assert text == "13/5"
    assert words_copied(target, copies) == ["13/5"]


@pytest.mark.parametrize(
    ("pieces", "copies", "word"),
    [
        (["▁3", "/", "3"], [Copy(2, 3, "3", "5")], "3/5"),
        (["▁12", "3", "-", "3"], [Copy(0, 2, "123", "PyMem"), Copy(3, 4, "3", "12")], "PyMem-12"),
        (["▁3", "KB"], [Copy(0, 1, "3", "x86"), Copy(1, 2, "KB", "B")], "x86B"),
    ],
)
def test_what_was_copied_before_does_not_hide_what_comes_after(
    pieces: list[str], copies: list[Copy], word: str
) -> None:
    assert words_copied(pieces, copies) == [word]


@given(PIECES, st.integers(0, 99))
def test_a_source_without_numbers_and_latin_words_changes_nothing(target: list[str], seed: int) -> None:
    source = ["▁나무", "를", "</s>"]
    weights = torch.rand(len(target), 3, generator=torch.Generator().manual_seed(seed)).softmax(1)
    said = text_of(target)
    assert copy_over(said, source, target, weights) == (said, [])


def test_copies_of_a_later_sentence_are_counted_from_the_first_piece() -> None:
    assert Copy(1, 4, "a", "b").behind(7) == Copy(8, 11, "a", "b")
