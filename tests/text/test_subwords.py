"""Words spelt by subword pieces, and their attention weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kotrans.data.tokenizer import Tokenizer
from kotrans.text.subwords import piece_indices, spell_pieces, word_spans, word_text
from kotrans.translation.translator import Translator
from kotrans.translation.word_alignment import word_weights
from tests.tiny_run import TinyRun


@pytest.fixture(scope="module")
def tokenizer(tiny_run: TinyRun) -> Tokenizer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
        return Translator.load("tiny").tokenizer


@given(text=st.text(st.sampled_from("저는새나무 \t.,a🌳é뷁 "), min_size=1, max_size=30))
def test_the_words_of_a_sentence_are_separated_by_white_space(text: str, tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.source.encode([text])
    pieces = [*tokenizer.source.pieces(ids), "</s>"]
    spans = word_spans(pieces)
    assert [i for span in spans for i in span] == list(range(len(pieces)))
    words = [word_text(pieces[span.start : span.stop]) for span in spans]
    assert words == [*tokenizer.source.decode(ids).split(), "</s>"]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["▁", "<0xEB>", "<0xB7>", "<0x81>", "도", "▁", "▁a", "</s>"], ["뷁도", "a", "</s>"]),
        (["b", "</s>", "▁c", "</s>"], ["b", "</s>", "c", "</s>"]),
        (["▁x", "<0xEB>", "▁"], ["x\ufffd", ""]),
        ([], []),
    ],
)
def test_unusual_piece_sequences_have_words_too(pieces: list[str], words: list[str]) -> None:
    assert [word_text(pieces[span.start : span.stop]) for span in word_spans(pieces)] == words


@given(seed=st.integers(0, 99), target=st.lists(st.booleans(), min_size=1), source=st.lists(st.booleans(), min_size=1))
def test_word_weights_are_summed_over_source_pieces_and_averaged_over_target_pieces(
    seed: int, target: list[bool], source: list[bool]
) -> None:
    rows, columns = (word_spans(["▁a" if begins else "a" for begins in each]) for each in (target, source))
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(source)), len(target)).astype(np.float32)  # (T, S)
    merged = word_weights(weights, rows, columns)  # (U, R)
    np.testing.assert_allclose(merged.sum(1), 1, rtol=1e-6)
    for u, row in enumerate(rows):
        for r, column in enumerate(columns):
            total = sum(float(weights[i, j]) for i in row for j in column)
            assert float(merged[u, r]) == pytest.approx(total / len(row))


def test_every_character_is_attributed_to_its_piece() -> None:
    pieces = ["▁a", "<0xEB>", "<0x82>", "<0x98>", "<0x42>", "b", "▁", "▁c", "</s>"]
    assert spell_pieces(pieces) == (" a나Bb  c ", [0, 0, 1, 4, 5, 6, 7, 7, 8])
    assert piece_indices("a나Bb c", pieces) == [0, 1, 4, 5, 6, 7]
    assert piece_indices("a나Bb < c", pieces) is None
    assert spell_pieces(["<0xEB>", "<0x41>"]) == ("\ufffdA", [0, 0])
    assert piece_indices("", []) == []
