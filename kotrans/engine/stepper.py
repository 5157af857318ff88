"""The protocol between search and engines."""

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from kotrans.errors import ModelError

# Shape key: B sentences, N rows alive, M rows selected, S source positions, V target pieces, k pieces per row.
State = TypeVar("State")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float32]


class Stepper(Protocol[State]):
    """A model, or an ensemble, that extends hypotheses by one piece. A row is one hypothesis of one sentence.

    The results of a row never depend on the other rows.
    """

    def start(self, source: Ints, mask: Booleans) -> State:
        """Returns the state before the first piece, one row per sentence.

        source (B, S), mask (B, S) true on real pieces, which come first.
        """
        ...

    def step(self, state: State, previous: Ints, k: int) -> tuple[Floats, Ints, State, Weights | None]:
        """Extends the rows by the pieces previous (N,).

        Returns log-probabilities and ids (N, k) of the most probable next pieces, the next state, and attention weights
        (N, S) or None. Best first, of equal ones the smaller id; never PAD, BOS or UNK, so that there may be fewer than
        k. The probabilities of all V pieces sum to 1.
        """
        ...

    def score(self, state: State, previous: Ints, given: Ints) -> tuple[Floats, State, Weights | None]:
        """As `step`, but returns the log-probabilities (N,) of the pieces given (N,)."""
        ...

    def select(self, state: State, rows: Ints) -> State:
        """Returns the state of `rows` (M,), in that order; rows may repeat or be missing."""
        ...

    def join(self, state: State, started: State) -> State:
        """Returns the state of the rows of both, those of `started`, a result of `start`, last."""
        ...


def keep_rows(stepper: Stepper[State], state: State, rows: Ints, count: int) -> State:
    """Returns `stepper.select` of `rows`, or the state itself if they are all its `count` rows in order."""
    if len(rows) == count and (rows == np.arange(count)).all():
        return state
    return stepper.select(state, rows)


def check_possible(best: Floats) -> None:
    """Raises ModelError if the best log-probability of a sentence is NaN or -inf."""
    if not np.isfinite(best).all():
        raise ModelError(
            "the model gives no probability to any piece: its weights are damaged or its training diverged; "
            "use an earlier checkpoint"
        )
