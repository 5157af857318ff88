"""Encoder outputs of the sentences in a search, in groups of similar length, and the rows that belong to each sentence.

Shape key: B sentences held, K rows (decoder states) of one sentence at most, N rows in all, S source positions,
Q decoder state width, L width of what attention returns for a state, A any width.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from kotrans.model.decoder import Decoder, EncodedSource

_GROUP = 8  # sentences that joined; in fewer, products have too few rows, and in more there is more padding


class EncoderCache(NamedTuple):
    """Sentences, those of the first group first. No sentence is as wide as one of another group makes it."""

    groups: tuple[EncodedSource, ...]

    @property
    def sizes(self) -> list[int]:
        """The sentences of each group."""
        return [len(group.mask) for group in self.groups]

    def look(self, decoder: Decoder, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """What `Decoder.look` gives, (B, K, L) and (B, K, S), of queries (B, K, Q)."""
        if len(self.groups) == 1:
            return decoder.look(self.groups[0], queries)
        pairs = zip(self.groups, queries.split(self.sizes), strict=True)
        looked, weights = zip(*(decoder.look(group, of_group) for group, of_group in pairs), strict=True)
        width = max(group.mask.size(1) for group in self.groups)
        wide = [functional.pad(each, (0, width - each.size(2))) for each in weights if each is not None]
        return _below(looked), _below(wide) if wide else None

    def select(self, sentences: Sequence[int]) -> Self:
        """Those of the given sentences, in rising order."""
        groups, begin = [], 0
        for group, size in zip(self.groups, self.sizes, strict=True):
            rows = [sentence - begin for sentence in sentences if begin <= sentence < begin + size]
            begin += size
            if rows:
                groups.append(group.select(torch.tensor(rows, device=group.mask.device)))
        return type(self)(tuple(groups))

    def join(self, other: Self) -> tuple[Self, list[int]]:
        """Both in groups of like lengths, and which each of these sentences was: `other`'s are behind these."""
        every = [(group, row) for group in (*self.groups, *other.groups) for row in range(len(group.mask))]
        lengths = [length for group in (*self.groups, *other.groups) for length in group.mask.sum(1).tolist()]
        order = sorted(range(len(every)), key=lambda sentence: -lengths[sentence])
        groups = [order[begin : begin + _GROUP] for begin in range(0, len(order), _GROUP)]
        return type(self)(tuple(_gathered([(*every[i], lengths[i]) for i in group]) for group in groups)), order


def _gathered(rows: Sequence[tuple[EncodedSource, int, int]]) -> EncodedSource:
    """Rows of sources, each with its length, as wide as the longest."""

    def of(name: str) -> Tensor:
        if name == "fixed_context":
            return torch.stack([getattr(source, name)[row] for source, row, _ in rows])  # (B, H)
        return pad_sequence([getattr(source, name)[row, :length] for source, row, length in rows], batch_first=True)

    first, _, _ = rows[0]
    return first._replace(**{name: of(name) for name, part in first._asdict().items() if part is not None})


def _below(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


class RowIndex:
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
