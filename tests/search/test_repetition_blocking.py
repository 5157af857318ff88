"""Repetition blocking in a search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.search.beam import search
from kotrans.search.greedy import forced_decoding
from kotrans.search.repetition_blocking import RepetitionBlocker
from tests.search.small_models import VOCABULARY, RecurrentStepper, TableStepper, padded
from tests.search.test_beam import EOS, repeats_too_often, settings_of

PIECES = st.lists(st.integers(4, 6), max_size=14)


def blocked_pieces(history: list[int], most: int | None, vocabulary: int = VOCABULARY) -> set[int]:
    """Returns the pieces that are blocked after a history."""
    repetitions = RepetitionBlocker(1, most)
    for piece in history:
        repetitions.append(np.array([0]), np.array([piece]))
    stepper = TableStepper(np.full((vocabulary, vocabulary), 1 / vocabulary))
    log_probs, pieces, _, _ = repetitions.step(stepper, 1, np.array([1]), vocabulary)
    special = {0, 1, 3}
    return {int(piece) for value, piece in zip(log_probs[0], pieces[0], strict=True) if value == -np.inf} - special


@given(PIECES, st.integers(1, 3))
def test_a_piece_is_blocked_exactly_when_it_would_repeat_a_group_too_often(history: list[int], most: int) -> None:
    expected = set()
    for piece in range(VOCABULARY):
        ends = [(*history, piece)[begin:] for begin in range(len(history) + 1)]
        if any(repeats_too_often(end, most) and not repeats_too_often(end[:-1], most) for end in ends):
            expected.add(piece)
    if not repeats_too_often(tuple(history), most):
        assert blocked_pieces(history, most) == expected


@given(PIECES)
def test_without_a_limit_nothing_is_blocked(history: list[int]) -> None:
    assert blocked_pieces(history * 3, None) == set()


@pytest.mark.parametrize(("size", "forbidden"), [(2, True), (16, True), (17, False)])
def test_groups_of_up_to_sixteen_pieces_are_blocked(size: int, forbidden: bool) -> None:
    group = list(range(10, 10 + size))
    assert blocked_pieces([*group, *group, *group[:-1]], 2, vocabulary=40) == ({group[-1]} if forbidden else set())


@given(
    seed=st.integers(0, 10_000), beam=st.integers(1, 6), most=st.sampled_from([1, 2]), sharpness=st.sampled_from([1, 9])
)
@settings(max_examples=40)
def test_no_translation_repeats_a_group_too_often_and_its_score_is_that_of_forced_decoding(
    seed: int, beam: int, most: int, sharpness: int
) -> None:
    stepper, config = RecurrentStepper(seed, sharpness=sharpness), settings_of(beam, extra=14, most=most)
    batch = padded([[6, 7, 8]])
    for hypothesis in search(stepper, *batch, config, n_best=beam)[0]:
        assert not repeats_too_often(hypothesis.ids, most)
        if hypothesis.finished:
            assert forced_decoding(stepper, *batch, [hypothesis.ids], config)[0].score == pytest.approx(
                hypothesis.score
            )


@given(seed=st.integers(0, 10_000), beam=st.integers(1, 6))
@settings(max_examples=40)
def test_a_limit_that_no_hypothesis_reaches_changes_nothing(seed: int, beam: int) -> None:
    stepper, batch = RecurrentStepper(seed, vocabulary=60, sharpness=1), padded([[6, 7, 8]])
    free, guarded = (search(stepper, *batch, settings_of(beam, extra=4, most=most))[0][0] for most in (None, 7))
    assert guarded == free


@pytest.mark.parametrize("beam", [1, 3])
def test_nothing_is_blocked_if_there_is_no_other_piece(beam: int) -> None:
    table = np.zeros((VOCABULARY, VOCABULARY))
    table[:, 4] = 1  # neither another piece nor EOS is possible
    (hypothesis,) = search(TableStepper(table), *padded([[6]]), settings_of(beam, extra=6))[0]
    assert hypothesis.ids == (4,) * 7


def test_forced_decoding_scores_repetitions_without_blocking() -> None:
    table = np.full((VOCABULARY, VOCABULARY), 0.1)
    table[:, 4] = 0.4
    (scored,) = forced_decoding(TableStepper(table), *padded([[6]]), [[4] * 9], settings_of(2))
    assert scored.token_log_probs == pytest.approx([np.log(0.4)] * 9 + [np.log(0.1)])
    assert EOS not in scored.ids
