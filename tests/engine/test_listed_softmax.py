"""A shortlist limits the pieces of each sentence, whatever the other sentences of the batch list."""

from collections.abc import Sequence

import numpy as np
import pytest
from engines import SPECIAL, WORDS, distribution, engine_of, force, listing, start
from model_examples import SCORES, TARGET_SIZE, Sentences, sentences, tiny_config, tiny_model
from torch import Tensor

from kotrans.engine.stepper import Ints

pytestmark = pytest.mark.slow


def by_first_piece(source: Sequence[int]) -> Ints:
    """Returns EOS and the pieces that are congruent to the first source piece."""
    return np.array(sorted({2, *(piece for piece in WORDS if (piece - source[0]) % 2 == 0)}))


@pytest.mark.parametrize("largest", [None, 63])
@pytest.mark.parametrize("score", ["additive", "additive and lexical", "none"])
def test_a_shortlist_of_all_pieces_changes_nothing(score: str, largest: int | None) -> None:
    config, batch = tiny_config(score), sentences()
    model, everything = tiny_model(config), listing(range(TARGET_SIZE))
    found = []
    for shortlist in (None, everything):
        engine = engine_of("onnxruntime", config, model, largest=largest, shortlist=shortlist)
        found.append(force(engine, start(engine, batch), batch.inputs.numpy())[1])
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_probabilities_are_those_of_all_pieces_renormalised_over_the_list(score: str) -> None:
    config, batch, listed = tiny_config(score), sentences(), [2, 4, 7]
    model = tiny_model(config)
    full, short = (engine_of("onnxruntime", config, model, **each) for each in ({}, {"shortlist": listing(listed)}))
    previous = batch.inputs[:, 0].numpy()
    expected, _, _ = distribution(full, start(full, batch), previous)
    log_probs, pieces, _, _ = short.step(start(short, batch), previous, TARGET_SIZE)
    columns = [WORDS.index(piece) for piece in listed]
    of_list = expected[:, columns] - np.log(np.exp(expected[:, columns]).sum(1, keepdims=True))
    order = np.argsort(-of_list, axis=1, kind="stable")
    assert np.array_equal(pieces, np.array(listed)[order])
    np.testing.assert_allclose(log_probs, np.take_along_axis(of_list, order, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("largest", [None, 63])
def test_other_sentences_of_the_batch_never_change_a_sentence(largest: int | None) -> None:
    config, batch = tiny_config(), sentences((2, 5, 3, 4, 1, 5), (3, 4, 2, 4, 3, 4))
    engine = engine_of("onnxruntime", config, tiny_model(config), largest=largest, shortlist=by_first_piece)
    first, second = (Sentences(*(part[rows] for part in parts(batch))) for rows in ([0, 1, 2], [3, 4, 5]))
    state = start(engine, first)
    previous = np.ones(3, np.int64)
    _, _, state, _ = engine.step(state, previous, 3)
    state = engine.join(engine.select(state, np.array([0, 0, 2])), start(engine, second))  # the second one leaves
    owners, histories = [0, 0, 2, 3, 4, 5], [[1, 4], [1, 5], [1, 4], [1], [1], [1]]
    log_probs, pieces, _, _ = engine.step(state, np.array([history[-1] for history in histories]), 3)
    for row, (owner, history) in enumerate(zip(owners, histories, strict=True)):
        alone, previous_piece = start(engine, batch.row(owner)), history[0]
        for piece in history[1:]:
            _, _, alone, _ = engine.step(alone, np.array([previous_piece]), 1)
            previous_piece = piece
        expected, expected_pieces, _, _ = engine.step(alone, np.array([previous_piece]), 3)
        possible = expected[0] > -np.inf
        width = min(len(expected[0]), len(log_probs[row]))
        np.testing.assert_allclose(log_probs[row, :width], expected[0, :width], rtol=0, atol=1e-5)
        assert np.array_equal(pieces[row, :width][possible[:width]], expected_pieces[0, :width][possible[:width]])


def parts(batch: Sentences) -> tuple[Tensor, ...]:
    return batch.source, batch.mask, batch.inputs, batch.labels


def test_given_translations_are_scored_over_all_pieces() -> None:
    config, batch = tiny_config(), sentences()
    model, previous = tiny_model(config), batch.inputs[:, 0].numpy()
    full, short = (engine_of("onnxruntime", config, model, **each) for each in ({}, {"shortlist": listing([2, 4])}))
    for piece in range(TARGET_SIZE):
        given = np.full(len(previous), piece)
        expected, found = (engine.score(start(engine, batch), previous, given)[0] for engine in (full, short))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_special_pieces_of_a_list_are_never_chosen() -> None:
    config, batch = tiny_config(), sentences()
    engine = engine_of("onnxruntime", config, tiny_model(config), shortlist=listing([*SPECIAL, 2, 5]))
    log_probs, pieces, _, _ = engine.step(start(engine, batch), batch.inputs[:, 0].numpy(), 4)
    assert not np.isin(pieces[log_probs > -np.inf], SPECIAL).any()
    assert (np.isfinite(log_probs).sum(1) == 2).all()
