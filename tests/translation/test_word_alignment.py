"""Word alignments from attention weights between pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.translation.word_alignment import word_alignment


def test_a_word_has_the_weights_of_all_its_pieces() -> None:
    source, target = ["▁나", "는", "▁집", "에", "</s>"], ["▁to", "▁ho", "me", "</s>"]
    weights = [
        [0.3, 0.3, 0.0, 0.35, 0.05],  # `to`: two pieces of 나는 outweigh the highest one
        [0.0, 0.1, 0.4, 0.0, 0.5],  # `home` with both its pieces; end marks are not words
        [0.2, 0.0, 0.1, 0.3, 0.4],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ]
    assert word_alignment(source, target, weights) == [(0, 0), (1, 1)]


def test_words_are_numbered_across_parts() -> None:
    source, target = ["▁가", "</s>", "▁나", "</s>"], ["▁a", "</s>", "▁b", "</s>"]
    weights = [[0.9, 0.1, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.8, 0.2], [0.0, 0.0, 0.0, 1.0]]
    assert word_alignment(source, target, weights) == [(0, 0), (1, 1)]


def test_a_word_with_attention_on_the_end_mark_only_is_not_aligned() -> None:
    assert word_alignment(["▁가", "</s>"], ["▁a", "▁b", "</s>"], [[0, 1], [0.1, 0.9], [0, 1]]) == [(0, 1)]
    assert word_alignment([], [], []) == []


@given(st.data())
def test_every_target_word_is_aligned_to_one_existing_source_word(data: st.DataObject) -> None:
    pieces = st.lists(st.sampled_from(["▁a", "b", "<0xEA>", "▁", "</s>"]), min_size=1, max_size=8)
    source, target = data.draw(pieces), data.draw(pieces)
    row = st.lists(st.floats(0.01, 1), min_size=len(source), max_size=len(source))
    weights = data.draw(st.lists(row, min_size=len(target), max_size=len(target)))
    links = word_alignment(source, target, weights)
    assert [n for _, n in links] == (list(range(len(links))) if set(source) != {"</s>"} else [])
    assert all(0 <= m < len(source) for m, _ in links)


@pytest.mark.parametrize("pieces", [["x", "▁y"], ["▁x", "▁y"]])
def test_a_first_piece_without_the_word_marker_begins_a_word(pieces: list[str]) -> None:
    assert word_alignment(pieces, pieces, [[1, 0], [0, 1]]) == [(0, 0), (1, 1)]
