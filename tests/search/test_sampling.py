"""Random translations."""

from collections import Counter

import numpy as np
import pytest

from kotrans.config.schema import SearchConfig
from kotrans.search.beam import search
from kotrans.search.greedy import forced_decoding
from tests.search.small_models import RecurrentStepper, TableStepper, padded
from tests.search.test_beam import EOS, SOURCES, assert_same


def sampling(**settings: object) -> SearchConfig:
    return SearchConfig.model_validate(
        {"sample": True, "max_length_ratio": 1.0, "max_length_extra": 6, "max_repetitions": None} | settings
    )


def first_pieces(config: SearchConfig, table: list[float], count: int) -> Counter[int]:
    """Draws the first piece of `count` translations of one sentence, where the pieces have these probabilities."""
    stepper = TableStepper(np.tile(np.array(table), (len(table), 1)))
    (found,) = search(stepper, *padded(SOURCES[:1]), config, n_best=count)
    return Counter(each.ids[0] if each.ids else EOS for each in found)


TABLE = [0.0, 0.0, 0.1, 0.0, 0.6, 0.2, 0.1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {4: 0.6, 5: 0.2, 6: 0.1, EOS: 0.1}),
        ({"top_k": 2}, {4: 0.75, 5: 0.25}),
        ({"top_p": 0.7}, {4: 0.75, 5: 0.25}),
        ({"top_p": 0.6}, {4: 1.0}),
        ({"temperature": 0.5}, {4: 0.36 / 0.42, 5: 0.04 / 0.42, 6: 0.01 / 0.42, EOS: 0.01 / 0.42}),
    ],
)
def test_pieces_are_drawn_with_their_probabilities(settings: dict[str, float], expected: dict[int, float]) -> None:
    count = 4000
    drawn = first_pieces(sampling(**settings), TABLE, count)
    assert drawn.keys() == expected.keys()
    for piece, probability in expected.items():
        # Six standard deviations of a binomial distribution.
        assert abs(drawn[piece] / count - probability) <= 6 * np.sqrt(probability * (1 - probability) / count)


def test_neighbours_and_padding_do_not_change_a_sample() -> None:
    stepper, config = RecurrentStepper(1), sampling()
    together = search(stepper, *padded(SOURCES, width=14), config, n_best=3)
    for source, batched in zip(SOURCES, together, strict=True):
        for one, other in zip(search(stepper, *padded([source]), config, n_best=3)[0], batched, strict=True):
            assert_same(one, other)


def test_the_score_of_a_sample_is_that_of_scoring_it() -> None:
    stepper, config = RecurrentStepper(1), sampling()
    for found in search(stepper, *padded(SOURCES[:3]), config, n_best=2):
        assert len(found) == 2
    (found, *_) = search(stepper, *padded(SOURCES[:1]), config, n_best=20)
    finished = [each for each in found if each.finished]
    assert finished
    scored = forced_decoding(stepper, *padded(SOURCES[:1] * len(finished)), [each.ids for each in finished], config)
    for one, other in zip(finished, scored, strict=True):
        assert_same(one, other)


def test_another_seed_draws_other_translations() -> None:
    one, other = (search(RecurrentStepper(1), *padded(SOURCES), sampling(seed=seed)) for seed in (1, 2))
    assert [each[0].ids for each in one] != [each[0].ids for each in other]
