"""Translation speed: greedy and beam search, in batches and one by one."""

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

_SORTED = 16  # batches whose sentences are sorted by length together, as in translation


class _State(NamedTuple):
    """The decoder's state, and the number of pieces left for each row (N,)."""

    model: SearchState
    left: Tensor


class GivenLengths:
    """A Stepper whose translations have given lengths, because an untrained model does not predict EOS sensibly."""

    def __init__(self, model: IncrementalDecoder, lengths: Tensor) -> None:
        """lengths (B,) in pieces, EOS included."""
        self._model = model
        self._lengths = lengths

    def start(self, source: Tensor, mask: Tensor) -> _State:
        return _State(self._model.start(source, mask), self._lengths)

    def step(self, state: _State, previous: Tensor) -> tuple[Tensor, _State, Tensor | None]:
        logits, model, weights = self._model.step(state.model, previous)  # (N, V)
        last = (state.left == 1).nonzero().flatten()
        eos = logits[last, EOS]
        logits[last] = -math.inf
        logits[:, EOS] = -math.inf
        logits[last, EOS] = eos
        return logits, _State(model, state.left - 1), weights

    def select(self, state: _State, rows: Tensor) -> _State:
        return _State(self._model.select(state.model, rows), state.left[rows])

    def join(self, state: _State, started: _State) -> _State:
        return _State(self._model.join(state.model, started.model), torch.cat([state.left, started.left]))


def measure_search(
    model: Seq2Seq, sentences: Sequence[Sentence], config: SearchConfig, device: torch.device,
    *, beam: int, batch: int, precision: str, seconds: float, report: Callable[[float], None],
) -> SearchFigures:  # fmt: skip
    """Translates for the given time, at least three rounds; `report` receives the seconds spent so far.

    A round is one batch per thread, as in translation; a single sentence is translated by all threads.
    """
    model.eval()
    longest = max(sentence.target_length for sentence in sentences)
    config = config.model_copy(update={"beam": beam, "max_length_ratio": 0.0, "max_length_extra": longest})
    batches = _batches(sentences, batch)
    translated, pieces, spent = 0, 0, 0.0
    stepper = IncrementalDecoder(model, PRODUCTS[precision])
    watch = Stopwatch(device)
    pool = ShardPool(torch.get_num_threads() if device.type == "cpu" and batch > 1 else 1)

    def translate(rows: list[Sentence]) -> None:
        source = pad([sentence.source for sentence in rows]).to(device)  # (B, S)
        lengths = torch.tensor([sentence.target_length for sentence in rows], device=device)  # (B,)
        search(GivenLengths(stepper, lengths), source, source != PAD, config)

    for number in rounds(seconds, 3, report):
        together = [batches[(number * pool.count + i) % len(batches)] for i in range(pool.count)]
        watch.start()
        for _ in pool.map(translate, together):
            pass
        spent += watch.elapsed()
        translated += sum(map(len, together))
        pieces += sum(sentence.target_length for rows in together for sentence in rows)
    return SearchFigures(beam, batch, precision, translated, pieces, spent, translated / spent, pieces / spent)


def _batches(sentences: Sequence[Sentence], size: int) -> list[list[Sentence]]:
    """Returns batches of similar source lengths in random order, since time may not suffice for all of them."""
    batches = []
    for start in range(0, len(sentences), size * _SORTED):
        longest_first = sorted(sentences[start : start + size * _SORTED], key=lambda sentence: -len(sentence.source))
        batches += [longest_first[first : first + size] for first in range(0, len(longest_first), size)]
    return [batches[i] for i in np.random.default_rng(0).permutation(len(batches))]
