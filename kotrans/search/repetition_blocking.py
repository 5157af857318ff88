"""Repetition blocking: removes pieces that would repeat a group of pieces too often.

Small models fall into loops: a group of pieces that occurs twice in a row becomes more probable each further time
(Holtzman et al. 2020, arXiv 1904.09751).
"""

import numpy as np

from kotrans.engine.stepper import Floats, Ints, State, Stepper, Weights

# Shape key: N rows alive, M rows of the next step, J rows that join, L pieces of the longest group, k pieces per
# row, F blocked pieces.
_LONGEST_GROUP = 16  # pieces


class RepetitionBlocker:
    """The repetitions at the end of each row.

    A group of 1 to 16 pieces may occur `most` times in a row, a single piece once more, as in "...", "IEEE", "000".
    """

    def __init__(self, rows: int, most: int | None) -> None:
        """rows: number of rows without pieces; most: None blocks nothing."""
        self._last = np.full((rows, 0 if most is None else _LONGEST_GROUP), -1)  # (N, L) pieces, the last one first
        # (N, L) [n - 1]: how many of the last pieces are equal to the pieces n places before them
        self._repeated = np.zeros(self._last.shape, np.int64)
        sizes = np.arange(1, self._last.shape[1] + 1)  # (L,) n
        self._full = sizes * ((most or 0) + (sizes == 1)) - 1  # (L,) `_repeated` of a group that may not grow further

    def join(self, count: int) -> None:
        """Appends `count` rows without pieces."""
        empty = np.full((count, self._last.shape[1]), -1)  # (J, L)
        self._last = np.concatenate([self._last, empty])
        self._repeated = np.concatenate([self._repeated, np.zeros(empty.shape, np.int64)])

    def keep(self, rows: Ints) -> None:
        """Keeps only `rows` (M,), in that order."""
        self._last, self._repeated = self._last[rows], self._repeated[rows]

    def append(self, rows: Ints, tokens: Ints) -> None:
        """Replaces the rows by those of the next step: each continues one of `rows` (M,) with one of `tokens` (M,)."""
        last = self._last[rows]  # (M, L)
        self._repeated = np.where(tokens[:, None] == last, self._repeated[rows] + 1, 0)
        self._last = np.concatenate([tokens[:, None], last], 1)[:, : last.shape[1]]

    def step(
        self, stepper: Stepper[State], state: State, previous: Ints, k: int
    ) -> tuple[Floats, Ints, State, Weights | None]:
        """Returns `Stepper.step`, where blocked pieces have log-probability -inf and come last.

        The log-probabilities of the other pieces do not change, so that scores are the model's. If a row has no other
        piece, nothing is blocked in it.
        """
        rows, groups = (self._repeated >= self._full).nonzero()  # (F,) each
        if not len(rows):
            return stepper.step(state, previous, k)
        # k plus the most blocked in any row, so that k are left in each.
        log_probs, pieces, state, weights = stepper.step(state, previous, k + int(np.bincount(rows).max()))
        blocked = np.zeros(pieces.shape, bool)  # (N, k + most blocked)
        np.logical_or.at(blocked, rows, pieces[rows] == self._last[rows, groups][:, None])
        blocked[(blocked | (log_probs == -np.inf)).all(1)] = False
        allowed = np.where(blocked, -np.inf, log_probs)
        order = np.argsort(-allowed, axis=1, kind="stable")[:, :k]  # (N, k)
        return np.take_along_axis(allowed, order, 1), np.take_along_axis(pieces, order, 1), state, weights
