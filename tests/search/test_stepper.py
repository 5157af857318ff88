"""Ensembles, and selecting rows of a state."""

import numpy as np
import pytest
import torch

from kotrans.search.stepper import EnsembleStepper, keep_rows
from tests.search.small_models import RecurrentStepper, TableStepper, padded


def test_an_ensemble_of_one_is_that_model() -> None:
    single, batch, previous = RecurrentStepper(1), padded([[6, 7], [8]]), torch.tensor([1, 1])
    ensemble = EnsembleStepper([single])
    log_probs, _, weights = ensemble.step(ensemble.start(*batch), previous)
    expected, _, expected_weights = single.step(single.start(*batch), previous)
    assert torch.equal(log_probs, expected.log_softmax(1))
    assert weights is not None
    assert expected_weights is not None
    assert torch.equal(weights, expected_weights)


def test_an_ensemble_gives_the_mean_probability_and_the_mean_attention() -> None:
    members, batch = [RecurrentStepper(1), RecurrentStepper(2)], padded([[6, 7], [8]])
    ensemble = EnsembleStepper(members)
    state, states = ensemble.start(*batch), [member.start(*batch) for member in members]
    previous = torch.tensor([1, 1])
    for rows in (torch.tensor([1, 0, 0]), torch.tensor([2])):
        log_probs, state, weights = ensemble.step(state, previous)
        outputs = [member.step(part, previous) for member, part in zip(members, states, strict=True)]
        probabilities = np.mean([output[0].softmax(1).numpy() for output in outputs], axis=0)
        np.testing.assert_allclose(log_probs.exp().numpy(), probabilities, atol=1e-15)
        assert weights is not None
        attentions = [output[2].numpy() for output in outputs if output[2] is not None]
        np.testing.assert_allclose(weights.numpy(), np.mean(attentions, axis=0), atol=1e-15)
        state = ensemble.select(state, rows)
        states = [member.select(output[1], rows) for member, output in zip(members, outputs, strict=True)]
        previous = previous[rows] + 3


@pytest.mark.parametrize("attentive", [0, 1])
def test_members_without_attention_do_not_count_in_the_mean_of_the_weights(attentive: int) -> None:
    members = [RecurrentStepper(1, attention=bool(attentive)), RecurrentStepper(2, attention=False)]
    ensemble, batch = EnsembleStepper(members), padded([[6, 7, 8]])
    _, _, weights = ensemble.step(ensemble.start(*batch), torch.tensor([1]))
    assert (weights is not None) == bool(attentive)
    if weights is not None:
        assert float(weights.sum()) == pytest.approx(1.0)


def test_keeping_every_row_in_order_copies_nothing() -> None:
    stepper, batch = RecurrentStepper(1), padded([[6], [7], [8]])
    state = stepper.start(*batch)
    assert keep_rows(stepper, state, torch.tensor([0, 1, 2]), 3) is state
    assert torch.equal(keep_rows(stepper, state, torch.tensor([0, 2, 1]), 3).hidden, state.hidden[[0, 2, 1]])
    assert torch.equal(keep_rows(stepper, state, torch.tensor([0, 1]), 3).hidden, state.hidden[:2])
    assert keep_rows(TableStepper(torch.ones(4, 4)), 3, torch.tensor([0, 0, 1, 1]), 3) == 4
