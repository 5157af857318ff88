"""Synthetic pairs for benchmarks without a prepared dataset: random pieces with realistic lengths."""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import numpy as np

from kotrans.bench.figures import Data
from kotrans.config.schema import Config
from kotrans.data.batching import Batch, Integers, plan_epoch
from kotrans.data.dataset import Ids, Position
from kotrans.data.prefetch import Item
from kotrans.data.tokenizer import EOS, UNK

_PAIRS = 20_000
# Target lengths are log-normal with this median and sigma; source lengths are target lengths times a log-normal ratio.
_MEDIAN, _SIGMA = 20, 0.55
_RATIO, _RATIO_SIGMA = 1.0, 0.25


class Sentence(NamedTuple):
    """A source (S,) to translate, ending with EOS, and the length of its translation, EOS included."""

    source: Ids
    target_length: int


class SyntheticPairs:
    """Random pairs; a pure function of the config."""

    def __init__(self, config: Config) -> None:
        random = np.random.default_rng(config.seed)
        target = random.lognormal(np.log(_MEDIAN), _SIGMA, _PAIRS)
        source = target * _RATIO * random.lognormal(0.0, _RATIO_SIGMA, _PAIRS)
        longest = config.batches.max_pieces + 1
        longest_source = min(longest, config.attention.max_source_length or longest)
        self.source_lengths: Integers = source.round().clip(2, longest_source).astype(np.int64)
        self.target_lengths: Integers = target.round().clip(2, longest).astype(np.int64)
        self._config = config
        self._size = config.tokenizer.vocabulary_size

    def describe(self) -> Data:
        """Describes the distribution of lengths."""
        name = (
            f"random pieces, lengths log-normal: target median {_MEDIAN}, sigma {_SIGMA}; "
            f"source/target ratio {_RATIO:g}, sigma {_RATIO_SIGMA}; at most {self._config.batches.max_pieces}"
        )
        return Data("synthetic", name, _PAIRS, self._size, self._size)

    def stream(self) -> Iterator[Item]:
        """Yields an endless stream of batches, planned like those of a dataset."""
        for epoch in count():
            tokens, seed = self._config.batches.tokens, self._config.seed
            plan = plan_epoch(self.source_lengths, self.target_lengths, tokens, [seed, epoch])
            random = np.random.default_rng([seed, epoch])
            for number, rows in enumerate(plan):
                sources = [self._draw(length, random) for length in self.source_lengths[rows]]
                targets = [self._draw(length, random) for length in self.target_lengths[rows]]
                yield Position(epoch, batch=number), Batch.of(sources, targets)

    def sentences(self, number: int) -> list[Sentence]:
        """Returns the first `number` sentences to translate."""
        random = np.random.default_rng(self._config.seed)
        lengths = zip(self.source_lengths[:number], self.target_lengths[:number], strict=True)
        return [Sentence(self._draw(source, random), int(target)) for source, target in lengths]

    def _draw(self, length: int, random: np.random.Generator) -> Ids:
        """Draws pieces (length,), the last of which is EOS."""
        ids = random.integers(UNK + 1, self._size, length, dtype=np.int32)
        ids[-1] = EOS
        return ids
