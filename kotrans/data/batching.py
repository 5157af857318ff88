"""Batches of training pairs: grouped by length, in a reproducible order, as padded tensors."""

# Shape key: B batch, S longest source, T longest target, both including EOS.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.config.sections import BatchConfig
from kotrans.data.dataset import Position
from kotrans.data.tokenizer import BOS, EOS, PAD, Tokenizer, Vocabulary

if TYPE_CHECKING:  # translation needs Batch but no dataset, whose imports take a while
    from kotrans.data.dataset import Dataset, Ids

Integers = npt.NDArray[np.int64]
Plan = list[Integers]
"""The indices of the pairs of each batch."""

_MAX_GROWTH = 2  # a sampled sentence longer than this many times its batch's longest keeps its stored pieces
_PAIRS_SORTED_AT_ONCE = 500_000  # bounds the memory of planning; the permutation takes 8 bytes per pair


@dataclass(frozen=True)
class Batch:
    """source (B, S) with EOS; target (B, 1 + T) with BOS and EOS; both padded with PAD."""

    source: Tensor
    target: Tensor

    @classmethod
    def of(cls, sources: "Sequence[Sequence[int] | Ids]", targets: "Sequence[Sequence[int] | Ids]") -> Self:
        """Pads sequences that end with EOS, and prepends BOS to the targets."""
        return cls(pad(sources), pad(targets, begin=BOS))

    @property
    def source_mask(self) -> Tensor:
        """(B, S), false at padding."""
        return self.source != PAD

    @property
    def inputs(self) -> Tensor:
        """(B, T), decoder inputs: BOS and the pieces."""
        return self.target[:, :-1]

    @property
    def labels(self) -> Tensor:
        """(B, T), decoder targets: the pieces and EOS."""
        return self.target[:, 1:]

    @property
    def target_tokens(self) -> int:
        """Number of labels that are not padding."""
        return int((self.labels != PAD).sum())

    def to(self, device: torch.device) -> Self:
        """Copies the batch to another device."""
        source, target = (tensor.to(device, non_blocking=True) for tensor in (self.source, self.target))
        return replace(self, source=source, target=target)

    def deal(self, count: int) -> Iterator[Self]:
        """Splits the rows into at most `count` shards of similar lengths."""
        for first in range(min(count, len(self.source))):
            yield replace(self, source=self.source[first::count], target=self.target[first::count])


def pad(sequences: "Sequence[Sequence[int] | Ids]", begin: int | None = None) -> Tensor:
    """Returns the sequences as rows (B, longest), int64, padded with PAD; each row begins with `begin` if given."""
    start = 0 if begin is None else 1
    longest = max((len(sequence) for sequence in sequences), default=0)
    rows = np.full((len(sequences), start + longest), PAD, dtype=np.int64)
    if begin is not None:
        rows[:, 0] = begin
    for row, sequence in zip(rows, sequences, strict=True):
        row[start : start + len(sequence)] = sequence
    return torch.from_numpy(rows)


def plan_epoch(
    source_lengths: Integers,
    target_lengths: Integers,
    tokens: int,
    seed: Sequence[int],
    weights: npt.ArrayLike = 1.0,
    sorted_at_once: int = _PAIRS_SORTED_AT_ONCE,
) -> Plan:
    """Plans the batches of one epoch, in order: a pure function of its arguments.

    A batch of B pairs has B × (longest target) ≤ `tokens` and B × (longest source) ≤ `tokens`, unless it is a single
    long pair. A pair of weight w occurs floor(w) times, and once more with probability w - floor(w). The shuffled
    pairs are sorted by length in chunks of about `sorted_at_once`.
    """
    random = np.random.default_rng(seed)
    pairs = random.permutation(_draw(len(source_lengths), weights, random))
    plan: Plan = []
    for chunk in np.array_split(pairs, max(1, -(-len(source_lengths) // sorted_at_once))):
        batches = _pack(chunk, source_lengths, target_lengths, tokens, random)
        plan += [batches[i] for i in random.permutation(len(batches))]
    return plan


def plan_in_order(source_lengths: Integers, target_lengths: Integers, tokens: int) -> Plan:
    """Plans every pair once, without randomness, for evaluation. `tokens` is the budget as in `plan_epoch`."""
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
    """Sorts pairs by both lengths, stably, and cuts where the budget is full; `random` shifts the cuts."""
    if not len(pairs):
        return []
    source, target = source_lengths[pairs], target_lengths[pairs]
    longest = np.maximum(source, target)
    strip = _strips(target, longest, tokens, random.random() if random else 0.0)[target]
    # Sources ascend in one strip and descend in the next, so that neighbours are similar where strips meet.
    order = np.argsort(strip * (2 * source.max() + 1) + np.where(strip % 2, -source, source), kind="stable")
    pairs, longest = pairs[order], longest[order]
    # Rare lengths have no ties: if the first batch were always full, they would meet the same pairs in every epoch.
    plan, start, budget = [], 0, int(random.integers(tokens) + 1) if random else tokens
    while start < len(pairs):
        reach = longest[start : start + max(1, budget // int(longest[start]))]
        room = np.maximum.accumulate(reach) * np.arange(1, len(reach) + 1)
        size = max(1, int(np.searchsorted(room, budget, side="right")))
        plan.append(pairs[start : start + size])
        start, budget = start + size, tokens
    return plan


def _strips(target: Integers, longest: Integers, tokens: int, phase: float) -> Integers:
    """Returns the strip number of each target length.

    As in sort-tile-recursive packing of rectangles (Leutenegger et al. 1997), pairs are cut by target length into
    strips of equal room, and each strip by source length into batches. `phase` in [0, 1) shifts the borders.
    """
    room = np.bincount(target, weights=longest)
    before = room.cumsum() - room
    # As many strips as batches per strip waste the same on both sides; target padding costs more, so twice as many.
    strips = 2 * np.sqrt(max(1.0, room.sum() / tokens))
    return (before * strips / room.sum() + phase).astype(np.int64)


@dataclass(frozen=True)
class Padding:
    """Share of the padded tensors that is padding."""

    source: float
    target: float
    both: float


def padding_share(plan: Plan, source_lengths: Integers, target_lengths: Integers) -> Padding:
    """Returns the share of padding in a plan's batches, without BOS."""
    real, room = np.zeros(2), np.zeros(2)
    for batch in plan:
        for side, lengths in enumerate((source_lengths[batch], target_lengths[batch])):
            real[side] += lengths.sum()
            room[side] += lengths.max() * len(batch)
    shares = 1 - real / room
    return Padding(float(shares[0]), float(shares[1]), float(1 - real.sum() / room.sum()))


@dataclass(frozen=True)
class Outline:
    """Size and padding of an epoch."""

    batches: int
    padding: Padding


@dataclass(frozen=True)
class Sampling:
    """Subword regularization: a new segmentation of the text in every epoch."""

    tokenizer: Tokenizer
    strength: float


class Batches:
    """The endless stream of training batches, epoch by epoch; a pure function of its arguments."""

    def __init__(
        self,
        dataset: "Dataset",
        config: BatchConfig,
        seed: int,
        weights: Sequence[float] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        """weights: one per corpus (default: 1).

        Batches are planned by the stored lengths, so a sampled batch may exceed the token budget, at most twofold; a
        sampled sentence is never longer than the longest stored one of the dataset.
        """
        self._dataset = dataset
        self._config = config
        self._seed = seed
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self._sampling = sampling
        self._latest: tuple[int, Plan] = -1, []  # epoch and its plan
        self._sizes: dict[int, int] = {}  # batches by epoch

    def plan(self, epoch: int) -> Plan:
        """Returns the pairs of each batch of an epoch; the latest plan is kept."""
        latest, plan = self._latest
        if latest != epoch:
            weights = 1.0 if self._weights is None else self._weights[self._dataset.origins]
            lengths = self._dataset.source_lengths, self._dataset.target_lengths
            plan = plan_epoch(*lengths, self._config.tokens, (self._seed, epoch), weights)
            self._latest = epoch, plan
            self._sizes[epoch] = len(plan)
        return plan

    def outline(self, epoch: int) -> Outline:
        """Returns the number of batches and the padding of an epoch."""
        plan = self.plan(epoch)
        return Outline(len(plan), padding_share(plan, self._dataset.source_lengths, self._dataset.target_lengths))

    def share_done(self, position: Position) -> float:
        """Returns the share of the epoch before a position."""
        epoch, batch = position.epoch, position.batch
        return min(1.0, batch / (self._sizes.get(epoch) or len(self.plan(epoch)))) if batch else 0.0

    def start_at(self, position: Position) -> Iterator[tuple[Position, Batch]]:
        """Yields the batches from `position` on, endlessly, each with the position after it."""
        epoch, first = position.epoch, position.batch
        while True:
            plan = self.plan(epoch)
            for number in range(first, len(plan)):
                after = Position(epoch, number + 1) if number + 1 < len(plan) else Position(epoch + 1)
                yield after, self._batch(plan[number], Position(epoch, number))
            epoch, first = epoch + 1, 0

    def _batch(self, pairs: Integers, position: Position) -> Batch:
        sources = [self._dataset.source(i) for i in pairs]
        targets = [self._dataset.target(i) for i in pairs]
        if self._sampling is None:
            return Batch.of(sources, targets)
        entropy = [self._seed, position.epoch, position.batch]
        seeds = np.random.SeedSequence(entropy).generate_state(2) >> 1
        counts, tokenizer, strength = self._dataset.counts, self._sampling.tokenizer, self._sampling.strength
        return Batch.of(
            _resample(sources, tokenizer.source, strength, int(seeds[0]), counts.longest_source),
            _resample(targets, tokenizer.target, strength, int(seeds[1]), counts.longest_target),
        )


def _resample(stored: "list[Ids]", vocabulary: Vocabulary, strength: float, seed: int, longest: int) -> list[list[int]]:
    limit = min(longest, _MAX_GROWTH * max(len(ids) for ids in stored))
    old = [ids.tolist() for ids in stored]
    new = vocabulary.sample([ids[:-1] for ids in old], strength, seed)
    return [[*b, EOS] if len(b) < limit else a for a, b in zip(old, new, strict=True)]
