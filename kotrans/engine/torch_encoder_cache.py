"""Encoder outputs of the sentences in a search, and the index of the rows that belong to each sentence.

Shape key: B sentences, K most rows (decoder states) of one sentence, N rows in all, S source positions, Q decoder state
width, L width of what a step reads from the source, A any width.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from kotrans.model.decoder import Decoder, EncodedSource


class EncoderCache(NamedTuple):
    """Encoded sentences in groups of similar length; a group is as wide as its longest sentence.

    Sentences are numbered through all groups.
    """

    groups: tuple[EncodedSource, ...]

    @property
    def sizes(self) -> list[int]:
        """The number of sentences of each group."""
        return [len(group.mask) for group in self.groups]

    def attend(self, decoder: Decoder, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns `Decoder.attend` of queries (B, K, Q) for all groups: (B, K, L), and weights (B, K, S) or None."""
        if len(self.groups) == 1:
            return decoder.attend(self.groups[0], queries)
        pairs = zip(self.groups, queries.split(self.sizes), strict=True)
        read, weights = zip(*(decoder.attend(group, of_group) for group, of_group in pairs), strict=True)
        width = max(group.mask.size(1) for group in self.groups)
        padded = [functional.pad(each, (0, width - each.size(2))) for each in weights if each is not None]
        return torch.cat(read), torch.cat(padded) if padded else None

    def select(self, sentences: Sequence[int]) -> Self:
        """Returns the given sentences, which are in ascending order."""
        groups, begin = [], 0
        for group, size in zip(self.groups, self.sizes, strict=True):
            rows = [sentence - begin for sentence in sentences if begin <= sentence < begin + size]
            begin += size
            if rows:
                groups.append(group.select(torch.tensor(rows, device=group.mask.device)))
        return type(self)(tuple(groups))

    def join(self, other: Self, group_size: int) -> tuple[Self, list[int]]:
        """Regroups the sentences of both by length.

        Returns the new cache, and for each of its sentences the previous number; those of `other` follow these.
        """
        sentences = [(group, row) for group in (*self.groups, *other.groups) for row in range(len(group.mask))]
        lengths = [length for group in (*self.groups, *other.groups) for length in group.mask.sum(1).tolist()]
        order = sorted(range(len(sentences)), key=lambda sentence: -lengths[sentence])
        groups = [order[begin : begin + group_size] for begin in range(0, len(order), group_size)]
        return type(self)(tuple(_stacked([(*sentences[i], lengths[i]) for i in group]) for group in groups)), order


def _stacked(rows: Sequence[tuple[EncodedSource, int, int]]) -> EncodedSource:
    """Returns rows of encoded sources, each given with its number and length, as one, padded to the longest."""

    def stack(name: str) -> Tensor:
        if name == "fixed_context":
            return torch.stack([getattr(source, name)[row] for source, row, _ in rows])  # (B, H)
        return pad_sequence([getattr(source, name)[row, :length] for source, row, length in rows], batch_first=True)

    first, _, _ = rows[0]
    return first._replace(**{name: stack(name) for name, part in first._asdict().items() if part is not None})


class RowIndex:
    """Maps rows to sentences, so that the encoder outputs of a sentence are shared by its rows and never copied.

    In a grid (B, K) each sentence has its rows in one line; unused cells are at the end of the line.
    """

    def __init__(self, sentences: Sequence[int], count: int, device: torch.device) -> None:
        """sentences: the sentence of each row (N,), in any order, out of `count` sentences."""
        self.sentences = sentences
        self.count = count
        self._device = device

    def to_grid(self, rows: Tensor) -> Tensor:
        """Returns rows (N, A) as a grid (B, K, A), with zeros in unused cells."""
        width, cells = self._cells
        if cells is not None:
            rows = rows.new_zeros(self.count * width, rows.size(1)).index_copy_(0, cells, rows)
        return rows.view(self.count, width, rows.size(1))

    def from_grid(self, grid: Tensor) -> Tensor:
        """Returns the rows (N, A) of a grid (B, K, A)."""
        rows, (_, cells) = grid.flatten(0, 1), self._cells
        return rows if cells is None else rows.index_select(0, cells)

    @cached_property
    def _cells(self) -> tuple[int, Tensor | None]:
        """K, and the cell (N,) of each row in the flattened grid, or None if the rows are the flattened grid."""
        counts = [0] * self.count
        columns = []
        for sentence in self.sentences:
            columns.append(counts[sentence])
            counts[sentence] += 1
        width = max(counts, default=0)
        cells = [sentence * width + column for sentence, column in zip(self.sentences, columns, strict=True)]
        if cells == list(range(self.count * width)):
            return width, None
        return width, torch.tensor(cells, device=self._device)
