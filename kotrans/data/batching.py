"""Batches of training pairs: which pairs go together, in which order, and as tensors."""

# Shape key: B batch, S longest source, T longest target, end marks counted.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.config.sections import BatchConfig
from kotrans.data.tokenizer import BOS, EOS, PAD, Tokenizer, Vocabulary

if TYPE_CHECKING:  # translation needs no corpus, and what reads corpora takes a while to import
    from kotrans.data.dataset import Dataset, Ids

Integers = npt.NDArray[np.int64]
Plan = list[Integers]
"""The pairs of each batch, by index."""

# A sampled sentence keeps its stored pieces if it would be longer than this many times its batch's longest.
_LONGER = 2


@dataclass(frozen=True)
class Batch:
    """source (B, S) ends each row with EOS; target (B, 1 + T) has BOS … EOS; the rest is PAD."""

    source: Tensor
    target: Tensor

    @classmethod
    def of(cls, sources: "Sequence[Sequence[int] | Ids]", targets: "Sequence[Sequence[int] | Ids]") -> Self:
        """From sequences that end with EOS; BOS is added here."""
        return cls(pad(sources), pad(targets, begin=BOS))

    @property
    def source_mask(self) -> Tensor:
        """(B, S), true on real pieces."""
        return self.source != PAD

    @property
    def inputs(self) -> Tensor:
        """(B, T), what the decoder is fed: BOS and the pieces."""
        return self.target[:, :-1]

    @property
    def labels(self) -> Tensor:
        """(B, T), what it shall say: the pieces and EOS."""
        return self.target[:, 1:]

    @property
    def target_tokens(self) -> int:
        """Labels that are real."""
        return int((self.labels != PAD).sum())

    def to(self, device: torch.device) -> Self:
        """The batch on another device."""
        source, target = (tensor.to(device, non_blocking=True) for tensor in (self.source, self.target))
        return replace(self, source=source, target=target)

    def deal(self, count: int) -> Iterator[Self]:
        """The rows in at most `count` shares of like lengths."""
        for first in range(min(count, len(self.source))):
            yield replace(self, source=self.source[first::count], target=self.target[first::count])


def pad(sequences: "Sequence[Sequence[int] | Ids]", begin: int | None = None) -> Tensor:
    """The sequences as rows of one tensor (B, longest), int64, filled up with PAD; `begin` stands before each."""
    start = 0 if begin is None else 1
    longest = max((len(sequence) for sequence in sequences), default=0)
    rows = np.full((len(sequences), start + longest), PAD, dtype=np.int64)
    if begin is not None:
        rows[:, 0] = begin
    for row, sequence in zip(rows, sequences, strict=True):
        row[start : start + len(sequence)] = sequence
    return torch.from_numpy(rows)


def plan_block(
    source_lengths: Integers, target_lengths: Integers, tokens: int, seed: Sequence[int], weights: npt.ArrayLike = 1.0
) -> Plan:
    """The batches of one epoch's part in one block, in order: a pure function of its arguments.

    A batch of B pairs has B × (longest target) and B × (longest source) of at most `tokens`, unless it is one long
    pair alone. A pair of weight w occurs floor(w) times and once more with the probability of the rest.
    """
    random = np.random.default_rng(seed)
    pairs = random.permutation(_draw(len(source_lengths), weights, random))
    batches = _pack(pairs, source_lengths, target_lengths, tokens, random)
    return [batches[i] for i in random.permutation(len(batches))]


def plan_in_order(source_lengths: Integers, target_lengths: Integers, tokens: int) -> Plan:
    """Every pair once, in batches of like lengths, always the same: for measuring. The budget is as in `plan_block`."""
    return _pack(np.arange(len(source_lengths)), source_lengths, target_lengths, tokens)


def _draw(count: int, weights: npt.ArrayLike, random: np.random.Generator) -> Integers:
    copies = np.broadcast_to(np.asarray(weights, dtype=np.float64), count)
    whole = np.floor(copies)
    extra = random.random(count) < copies - whole
    return np.repeat(np.arange(count), whole.astype(np.int64) + extra)


def _pack(
    pairs: Integers,
    source_lengths: Integers,
    target_lengths: Integers,
    tokens: int,
    random: np.random.Generator | None = None,
) -> Plan:
    """Sorts by both lengths, ties as they come, and cuts where the budget is full; `random` moves the cuts."""
    if not len(pairs):
        return []
    source, target = source_lengths[pairs], target_lengths[pairs]
    longest = np.maximum(source, target)
    strip = _strips(target, longest, tokens, random.random() if random else 0.0)[target]
    # Sources go up in one strip and down in the next, so that neighbours are alike where strips meet.
    order = np.argsort(strip * (2 * source.max() + 1) + np.where(strip % 2, -source, source), kind="stable")
    pairs, longest = pairs[order], longest[order]
    # Rare lengths have no ties: were the first batch always full, they would meet the same pairs in every epoch.
    plan, start, budget = [], 0, int(random.integers(tokens) + 1) if random else tokens
    while start < len(pairs):
        reach = longest[start : start + max(1, budget // int(longest[start]))]
        room = np.maximum.accumulate(reach) * np.arange(1, len(reach) + 1)
        size = max(1, int(np.searchsorted(room, budget, side="right")))
        plan.append(pairs[start : start + size])
        start, budget = start + size, tokens
    return plan


def _strips(target: Integers, longest: Integers, tokens: int, phase: float) -> Integers:
    """Number of the strip of each target length.

    As in sort-tile-recursive packing of rectangles (Leutenegger et al. 1997), pairs are cut by target into strips of
    equal room, and each strip by source into batches. `phase` in [0, 1) moves the borders.
    """
    room = np.bincount(target, weights=longest)
    before = room.cumsum() - room
    # As many strips as batches in a strip would waste alike on both sides; target padding costs more, so twice as many.
    strips = 2 * np.sqrt(max(1.0, room.sum() / tokens))
    return (before * strips / room.sum() + phase).astype(np.int64)


@dataclass(frozen=True)
class Padding:
    """Share of the padded tensors that is padding."""

    source: float
    target: float
    both: float


def padding_share(plan: Plan, source_lengths: Integers, target_lengths: Integers) -> Padding:
    """How much of a plan's batches is padding (BOS left out)."""
    real, room = np.zeros(2), np.zeros(2)
    for batch in plan:
        for side, lengths in enumerate((source_lengths[batch], target_lengths[batch])):
            real[side] += lengths.sum()
            room[side] += lengths.max() * len(batch)
    shares = 1 - real / room
    return Padding(float(shares[0]), float(shares[1]), float(1 - real.sum() / room.sum()))


@dataclass(frozen=True)
class Outline:
    """What to expect of an epoch."""

    batches: int
    padding: Padding


@dataclass(frozen=True)
class Position:
    """Where training stands in the stream: the next batch. All count from 0."""

    epoch: int = 0
    block: int = 0
    """In the epoch's own order of blocks."""
    batch: int = 0
    """Of the block."""


@dataclass(frozen=True)
class Sampling:
    """Subword regularisation: other pieces for the same text in every epoch."""

    tokenizer: Tokenizer
    strength: float


class Batches:
    """The endless stream of training batches, epoch after epoch; a pure function of its arguments."""

    def __init__(
        self,
        dataset: "Dataset",
        config: BatchConfig,
        seed: int,
        weights: Sequence[float] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        """`weights` has one number for each corpus.

        The plan goes by the stored lengths, so that a sampled batch may pass the budget, to twice at most; a sampled
        sentence is never longer than the longest stored one of the dataset.
        """
        self._dataset = dataset
        self._config = config
        self._seed = seed
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self._sampling = sampling
        self._planned: dict[tuple[int, int], int] = {}  # batches by epoch and block

    def plan(self, epoch: int, block: int = 0) -> Plan:
        """The pairs of each batch of a block; which block of the dataset that is differs from epoch to epoch."""
        number = self._order(epoch)[block]
        pairs = self._dataset.block(number)
        weights = 1.0 if self._weights is None else self._weights[pairs.origins]
        seed = self._seed, epoch, number
        plan = plan_block(pairs.source_lengths, pairs.target_lengths, self._config.tokens, seed, weights)
        self._planned[epoch, block] = len(plan)
        return [batch + self._dataset.begin(number) for batch in plan]

    def outline(self, epoch: int) -> Outline:
        """An epoch in figures, from its first block: exact where that is all, an estimate where there are more."""
        number = self._order(epoch)[0]
        pairs, begin = self._dataset.block(number), self._dataset.begin(number)
        plan = [batch - begin for batch in self.plan(epoch)]
        batches = round(len(plan) * len(self._dataset) / len(pairs))
        return Outline(batches, padding_share(plan, pairs.source_lengths, pairs.target_lengths))

    def share_done(self, position: Position) -> float:
        """How much of the epoch is done at a position, the blocks taken as equal."""
        epoch, block, batch = position.epoch, position.block, position.batch
        of_block = batch / (self._planned.get((epoch, block)) or len(self.plan(epoch, block))) if batch else 0.0
        return (block + of_block) / self._dataset.blocks

    def start_at(self, position: Position) -> Iterator[tuple[Position, Batch]]:
        """From `position` on for ever: each batch with the position after it, from where the rest can be had again."""
        epoch, block, first = position.epoch, position.block, position.batch
        while True:
            plan = self.plan(epoch, block)
            last = block + 1 == self._dataset.blocks
            following = Position(epoch + 1) if last else Position(epoch, block + 1)
            for number in range(first, len(plan)):
                after = Position(epoch, block, number + 1) if number + 1 < len(plan) else following
                yield after, self._batch(plan[number], Position(epoch, block, number))
            epoch, block, first = following.epoch, following.block, 0

    def _order(self, epoch: int) -> list[int]:
        """The dataset's blocks in the order of an epoch."""
        blocks = self._dataset.blocks
        return np.random.default_rng([self._seed, epoch, blocks]).permutation(blocks).tolist()

    def _batch(self, pairs: Integers, position: Position) -> Batch:
        sources = [self._dataset.source(i) for i in pairs]
        targets = [self._dataset.target(i) for i in pairs]
        if self._sampling is None:
            return Batch.of(sources, targets)
        entropy = [self._seed, position.epoch, position.batch, position.block]
        seeds = np.random.SeedSequence(entropy).generate_state(2) >> 1
        counts, tokenizer, strength = self._dataset.counts, self._sampling.tokenizer, self._sampling.strength
        return Batch.of(
            _resample(sources, tokenizer.source, strength, int(seeds[0]), counts.longest_source),
            _resample(targets, tokenizer.target, strength, int(seeds[1]), counts.longest_target),
        )


def _resample(stored: "list[Ids]", vocabulary: Vocabulary, strength: float, seed: int, longest: int) -> list[list[int]]:
    limit = min(longest, _LONGER * max(len(ids) for ids in stored))
    old = [ids.tolist() for ids in stored]
    new = vocabulary.sample([ids[:-1] for ids in old], strength, seed)
    return [[*b, EOS] if len(b) < limit else a for a, b in zip(old, new, strict=True)]
