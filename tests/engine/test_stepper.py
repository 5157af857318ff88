"""Selecting rows of a state."""

import numpy as np

from kotrans.engine.stepper import keep_rows
from tests.search.small_models import RecurrentStepper, TableStepper, padded


def test_keeping_every_row_in_order_copies_nothing() -> None:
    stepper, batch = RecurrentStepper(1), padded([[6], [7], [8]])
    state = stepper.start(*batch)
    assert keep_rows(stepper, state, np.array([0, 1, 2]), 3) is state
    for rows in ([0, 2, 1], [0, 1]):
        assert np.array_equal(keep_rows(stepper, state, np.array(rows), 3).hidden, state.hidden[rows])
    assert keep_rows(TableStepper(np.ones((4, 4))), 3, np.array([0, 0, 1, 1]), 3) == 4
