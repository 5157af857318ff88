"""Translation probabilities of pieces by IBM model 1."""

from itertools import pairwise

import numpy as np
import pytest

from kotrans.data.translation_table import Sequences, TranslationTable, train_table

EOS = 2
SOURCES, TARGETS = 40, 60  # sizes of the vocabularies
RANDOM = np.random.default_rng(0)


def sequences(lists: list[list[int]]) -> Sequences:
    return Sequences(np.concatenate(lists).astype(np.uint16), np.array([len(each) for each in lists]))


def table(pairs: list[tuple[list[int], list[int]]], iterations: int = 4) -> TranslationTable:
    sources, targets = zip(*pairs, strict=True)
    return train_table(sequences([*sources]), sequences([*targets]), SOURCES, TARGETS, iterations)


def translated(length: int) -> tuple[list[int], list[int]]:
    """A source of random pieces, and its target in another order: piece i is translated as 59 - i."""
    source = RANDOM.integers(4, SOURCES, length)
    return [*source.tolist(), EOS], [*(59 - RANDOM.permutation(source)).tolist(), EOS]


PAIRS = [translated(length) for length in RANDOM.integers(1, 9, 600).tolist()]


def test_each_iteration_explains_the_targets_better() -> None:
    values = table(PAIRS, iterations=6).log_likelihoods
    assert len(values) == 7
    assert values[0] == pytest.approx(-np.log(TARGETS))  # uniform
    assert all(before < after for before, after in pairwise(values))


def test_the_most_probable_translation_is_the_right_one() -> None:
    rows = table(PAIRS).rows
    assert [rows[piece].ids[0] for piece in range(4, SOURCES)] == [59 - piece for piece in range(4, SOURCES)]
    assert all(rows[piece].probabilities[0] > 0.5 for piece in range(4, SOURCES))


def test_two_pieces_that_always_occur_together_share_their_translations() -> None:
    rows = table([([5, 6, EOS], [15, 16, EOS]), ([7, EOS], [17, EOS])] * 3).rows
    assert rows[5].ids.tolist() == rows[6].ids.tolist()
    assert rows[5].ids[:2].tolist() == [15, 16]  # equally probable: in order of the ids


def test_probabilities_are_sorted_and_sum_to_one_and_pieces_that_never_occur_have_none() -> None:
    for piece, (ids, probabilities) in enumerate(table(PAIRS).rows):
        if piece == EOS or piece >= 4:
            assert probabilities.sum() == pytest.approx(1)
            assert (np.diff(probabilities) <= 0).all()
            assert len(set(ids.tolist())) == len(ids)
        else:
            assert len(ids) == len(probabilities) == 0


def test_the_order_of_the_pairs_changes_only_the_rounding() -> None:
    rows = table(PAIRS).rows
    for row, other in zip(rows, table(PAIRS[::-1]).rows, strict=True):
        np.testing.assert_allclose(row.dense(TARGETS), other.dense(TARGETS), atol=1e-9)


def test_one_iteration_counts_cooccurrences_divided_by_the_source_length() -> None:
    pairs = [([5, 5, 6, EOS], [20, 21]), ([5, EOS], [20, 20, 22])]
    expected = np.zeros(TARGETS)
    expected[[20, 21, 22]] = 2 / 4 + 2 / 2, 2 / 4, 1 / 2
    np.testing.assert_allclose(table(pairs, 1).rows[5].dense(TARGETS), expected / expected.sum())


def test_progress_ends_at_the_total() -> None:
    calls: list[tuple[int, int]] = []
    pair = sequences([[5, EOS]])
    train_table(pair, pair, SOURCES, TARGETS, 2, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 2 * SOURCES) for done in range(1, 2 * SOURCES + 1)]
