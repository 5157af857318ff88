"""Where the rows of a search meet their sentences.

Shape key: B sentences held, K most rows of a sentence, N rows, A a width.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor


class Places:
    """Which sentence each row belongs to, so that what belongs to the sentence is held once and never copied.

    Rows stand in a grid (B, K) where they meet their sentence; a sentence of fewer rows leaves places empty.
    """

    def __init__(self, sentences: Sequence[int], held: int, device: torch.device) -> None:
        """The places of rows of these `held` sentences, in any order, on a device."""
        self.sentences = sentences
        self.held = held
        self._device = device

    def spread(self, rows: Tensor) -> Tensor:
        """The grid (B, K, A) of rows (N, A), zeros in empty places."""
        width, slots = self._grid
        if slots is not None:
            rows = rows.new_zeros(self.held * width, rows.size(1)).index_copy_(0, slots, rows)
        return rows.view(self.held, width, rows.size(1))

    def gather(self, grid: Tensor) -> Tensor:
        """The rows (N, A) of a grid (B, K, A)."""
        rows, (_, slots) = grid.flatten(0, 1), self._grid
        return rows if slots is None else rows.index_select(0, slots)

    @cached_property
    def _grid(self) -> tuple[int, Tensor | None]:
        """K, and the place (N,) of each row in the grid read row by row, or None if the rows are the grid."""
        counts = [0] * self.held
        columns = []
        for sentence in self.sentences:
            columns.append(counts[sentence])
            counts[sentence] += 1
        width = max(counts, default=0)
        slots = [sentence * width + column for sentence, column in zip(self.sentences, columns, strict=True)]
        if slots == list(range(self.held * width)):
            return width, None
        return width, torch.tensor(slots, device=self._device)
