"""Hypotheses that say the same again and again, which small models do: the piece that would is passed over.

A search follows the probabilities of one piece after another, and a group of pieces that stands twice makes its third
time more probable, and its fourth (Holtzman et al. 2020, arXiv 1904.09751).
"""

import numpy as np
from torch import Tensor

from kotrans.search.topk import Floats, Ints, most_probable

# Shape key: N rows alive, M rows of the next step, J that join, L pieces of the longest group, k pieces of a row, V
# target vocabulary, F pieces passed over.
_LONGEST_GROUP = 16  # pieces


class RepetitionBlocker:
    """What the last pieces of each row repeat.

    A group of 1 to 16 pieces may stand `most` times in a row, and a single piece once more: "...", "IEEE", "000". Of
    241,109 English training sentences (configs/open-ko-en.yaml, 6,000 pieces) 0.03 % have more than `most` = 2 allows.
    """

    def __init__(self, rows: int, most: int | None) -> None:
        """Rows (N,) without a piece; `most` None lets everything repeat."""
        self._last = np.full((rows, 0 if most is None else _LONGEST_GROUP), -1)  # (N, L) pieces, the last one first
        self._repeated = np.zeros(self._last.shape, np.int64)  # (N, L) how many last pieces stand n before as well
        sizes = np.arange(1, self._last.shape[1] + 1)  # (L,) n
        self._full = sizes * ((most or 0) + (sizes == 1)) - 1  # (L,) so many, and the group's first piece is one more

    def join(self, count: int) -> None:
        """So many rows more, without a piece, behind the others."""
        without = np.full((count, self._last.shape[1]), -1)  # (J, L)
        self._last = np.concatenate([self._last, without])
        self._repeated = np.concatenate([self._repeated, np.zeros(without.shape, np.int64)])

    def keep(self, rows: Ints) -> None:
        """Forgets all rows but these (M,), in that order."""
        self._last, self._repeated = self._last[rows], self._repeated[rows]

    def append(self, rows: Ints, tokens: Ints) -> None:
        """The next step's rows (M,): which of the rows each continues, and with which piece."""
        last = self._last[rows]  # (M, L)
        self._repeated = np.where(tokens[:, None] == last, self._repeated[rows] + 1, 0)
        self._last = np.concatenate([tokens[:, None], last], 1)[:, : last.shape[1]]

    def most_probable(self, logits: Tensor, k: int) -> tuple[Floats, Ints]:
        """As `choice.most_probable`, but the pieces that would repeat a group too often have probability 0.

        The others keep theirs, so that scores stay the model's. A row that has no other piece left keeps all.
        """
        rows, groups = (self._repeated >= self._full).nonzero()  # (F,) each
        if not len(rows):
            return most_probable(logits, k)
        # With as many more as are passed over in any row, k are left in each.
        log_probs, pieces = most_probable(logits, k + int(np.bincount(rows).max()))
        passed = np.zeros(pieces.shape, bool)  # (N, k + passed over)
        np.logical_or.at(passed, rows, pieces[rows] == self._last[rows, groups][:, None])
        passed[(passed | (log_probs == -np.inf)).all(1)] = False
        log_probs[passed] = -np.inf
        order = np.argsort(-log_probs, axis=1, kind="stable")[:, :k]  # (N, k)
        return np.take_along_axis(log_probs, order, 1), np.take_along_axis(pieces, order, 1)
