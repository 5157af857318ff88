"""How fast a model translates: the search itself, greedy and by beam, in batches and one by one."""

# Shape key: N rows (hypotheses) alive, B sentences, S source length, V target pieces.

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kotrans.bench.clock import Stopwatch, rounds
from kotrans.bench.figures import SearchFigures
from kotrans.bench.random_pairs import Sentence
from kotrans.config.schema import SearchConfig
from kotrans.data.batching import pad
from kotrans.data.tokenizer import EOS, PAD
from kotrans.model.incremental.incremental_decoder import PRODUCTS, IncrementalDecoder, SearchState
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.shards import ShardPool
from kotrans.search.beam import search

_SORTED = 16  # batches of like lengths are made of so many sentences at a time, as in translation


class _Rows(NamedTuple):
    """The model's state, and for each row how many pieces are left (N,)."""

    model: SearchState
    left: Tensor


class GivenLengths:
    """A model whose translations have given lengths: one that was never trained would not know where to end."""

    def __init__(self, model: IncrementalDecoder, lengths: Tensor) -> None:
        """lengths (B,) in pieces, EOS counted."""
        self._model = model
        self._lengths = lengths

    def start(self, source: Tensor, mask: Tensor) -> _Rows:
        return _Rows(self._model.start(source, mask), self._lengths)

    def step(self, state: _Rows, previous: Tensor) -> tuple[Tensor, _Rows, Tensor | None]:
        logits, model, weights = self._model.step(state.model, previous)  # (N, V)
        last = state.left == 1  # (N,)
        ends = last.nonzero().flatten()
        end = logits[ends, EOS]
        logits[ends] = -math.inf
        logits[:, EOS] = -math.inf
        logits[ends, EOS] = end
        return logits, _Rows(model, state.left - 1), weights

    def select(self, state: _Rows, rows: Tensor) -> _Rows:
        return _Rows(self._model.select(state.model, rows), state.left[rows])

    def join(self, state: _Rows, started: _Rows) -> _Rows:
        return _Rows(self._model.join(state.model, started.model), torch.cat([state.left, started.left]))


def measure_search(
    model: Seq2Seq, sentences: Sequence[Sentence], config: SearchConfig, device: torch.device,
    *, beam: int, batch: int, precision: str, seconds: float, tell: Callable[[float], None],
) -> SearchFigures:  # fmt: skip
    """Translates batches for so many seconds, three rounds at least; `tell` hears the seconds spent.

    A round is one batch for each thread, as in translation; sentences one by one are translated by all threads.
    """
    model.eval()
    # No limit by the source: the lengths are given.
    longest = max(sentence.target_length for sentence in sentences)
    config = config.model_copy(update={"beam": beam, "max_length_ratio": 0.0, "max_length_extra": longest})
    batches = _batches(sentences, batch)
    translated, pieces, spent = 0, 0, 0.0
    stepper = IncrementalDecoder(model, PRODUCTS[precision])
    watch = Stopwatch(device)
    shares = ShardPool(torch.get_num_threads() if device.type == "cpu" and batch > 1 else 1)

    def translate(rows: list[Sentence]) -> None:
        source = pad([sentence.source for sentence in rows]).to(device)  # (B, S)
        lengths = torch.tensor([sentence.target_length for sentence in rows], device=device)  # (B,)
        search(GivenLengths(stepper, lengths), source, source != PAD, config)

    for number in rounds(seconds, 3, tell):
        together = [batches[(number * shares.count + i) % len(batches)] for i in range(shares.count)]
        watch.start()
        for _ in shares.map(translate, together):
            pass
        spent += watch.passed()
        translated += sum(map(len, together))
        pieces += sum(sentence.target_length for rows in together for sentence in rows)
    return SearchFigures(beam, batch, precision, translated, pieces, spent, translated / spent, pieces / spent)


def _batches(sentences: Sequence[Sentence], size: int) -> list[list[Sentence]]:
    """Batches of like source lengths, in an order that has nothing to do with length: not all may get their turn."""
    batches = []
    for start in range(0, len(sentences), size * _SORTED):
        read = sorted(sentences[start : start + size * _SORTED], key=lambda sentence: -len(sentence.source))
        batches += [read[first : first + size] for first in range(0, len(read), size)]
    return [batches[i] for i in np.random.default_rng(0).permutation(len(batches))]
