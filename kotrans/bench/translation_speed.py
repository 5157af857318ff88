"""Translation speed: greedy and beam search, in batches and one by one."""

# Shape key: N rows (hypotheses) alive, B sentences, S source length, k pieces per row.

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kotrans.bench.clock import rounds
from kotrans.bench.figures import SearchFigures
from kotrans.bench.random_pairs import Sentence
from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import EOS, PAD
from kotrans.engine.stepper import Booleans, Floats, Ints, Stepper, Weights
from kotrans.parallel.shards import ShardPool
from kotrans.search.beam import search

_SORTED = 16  # batches whose sentences are sorted by length together, as in translation
_LEAST = 3  # rounds
_LIMIT = 4  # times the given time; a measurement that takes longer is ended


class _State(NamedTuple):
    """The engine's state, and the number of pieces left for each row (N,)."""

    engine: Any
    left: Ints


class GivenLengths:
    """A Stepper whose translations have given lengths, because an untrained model does not predict EOS sensibly."""

    def __init__(self, engine: Stepper[Any], lengths: Ints, deadline: float = float("inf")) -> None:
        """lengths (B,) in pieces, EOS included. deadline: `perf_counter` after which a step raises TimeoutError."""
        self._engine = engine
        self._lengths = lengths
        self._deadline = deadline

    def start(self, source: Ints, mask: Booleans) -> _State:
        return _State(self._engine.start(source, mask), self._lengths)

    def step(self, state: _State, previous: Ints, k: int) -> tuple[Floats, Ints, _State, Weights | None]:
        if time.perf_counter() > self._deadline:
            raise TimeoutError
        log_probs, pieces, engine, weights = self._engine.step(state.engine, previous, k + 1)  # (N, k + 1)
        order = np.argsort(pieces == EOS, axis=1, kind="stable")  # EOS last
        log_probs = np.take_along_axis(np.where(pieces == EOS, -np.inf, log_probs), order, 1)[:, :k]
        pieces = np.take_along_axis(pieces, order, 1)[:, :k]
        last = state.left == 1
        log_probs[last], pieces[last] = -np.inf, EOS
        log_probs[last, 0] = 0
        return log_probs, pieces, _State(engine, state.left - 1), weights

    def score(self, state: _State, previous: Ints, given: Ints) -> tuple[Floats, _State, Weights | None]:
        log_probs, engine, weights = self._engine.score(state.engine, previous, given)
        return log_probs, _State(engine, state.left - 1), weights

    def select(self, state: _State, rows: Ints) -> _State:
        return _State(self._engine.select(state.engine, rows), state.left[rows])

    def join(self, state: _State, started: _State) -> _State:
        return _State(self._engine.join(state.engine, started.engine), np.concatenate([state.left, started.left]))


class Setup(NamedTuple):
    """What is measured."""

    engine: str
    precision: str
    beam: int
    batch: int
    """Sentences translated together."""


def measure_search(
    engine: Stepper[Any], sentences: Sequence[Sentence], config: SearchConfig, setup: Setup,
    *, threads: int, seconds: float, report: Callable[[float], None],
) -> SearchFigures:  # fmt: skip
    """Translates for the given time, at least three rounds; `report` receives the seconds spent so far.

    A round is one batch per thread, as in translation; the first batch is translated once before, because an engine
    computes the products of a piece when it first occurs. A measurement that takes four times as long is ended and
    reported without a result.
    """
    longest = max(sentence.target_length for sentence in sentences)
    config = config.model_copy(update={"beam": setup.beam, "max_length_ratio": 0.0, "max_length_extra": longest})
    batches = _batches(sentences, setup.batch)
    translated, pieces, spent = 0, 0, 0.0
    pool = ShardPool(threads if setup.batch > 1 else 1)
    deadline = time.perf_counter() + max(_LIMIT * seconds, 1.0)

    def translate(rows: list[Sentence]) -> None:
        source = _padded([sentence.source for sentence in rows])  # (B, S)
        lengths = np.array([sentence.target_length for sentence in rows])  # (B,)
        search(GivenLengths(engine, lengths, deadline), source, source != PAD, config)

    try:
        translate(batches[0])
        for number in rounds(seconds, _LEAST, report):
            together = [batches[(number * pool.count + i) % len(batches)] for i in range(pool.count)]
            start = time.perf_counter()
            for _ in pool.map(translate, together):
                pass
            spent += time.perf_counter() - start
            translated += sum(map(len, together))
            pieces += sum(sentence.target_length for rows in together for sentence in rows)
    except TimeoutError:
        return SearchFigures(*setup, translated, pieces, spent, None, None)
    return SearchFigures(*setup, translated, pieces, spent, translated / spent, pieces / spent)


def _padded(sources: Sequence[Sequence[int] | Any]) -> Ints:
    """Returns sources as rows (B, S)."""
    rows = np.full((len(sources), max(map(len, sources))), PAD)
    for row, source in zip(rows, sources, strict=True):
        row[: len(source)] = source
    return rows


def _batches(sentences: Sequence[Sentence], size: int) -> list[list[Sentence]]:
    """Returns batches of similar source lengths in random order, since time may not suffice for all of them."""
    batches = []
    for start in range(0, len(sentences), size * _SORTED):
        longest_first = sorted(sentences[start : start + size * _SORTED], key=lambda sentence: -len(sentence.source))
        batches += [longest_first[first : first + size] for first in range(0, len(longest_first), size)]
    return [batches[i] for i in np.random.default_rng(0).permutation(len(batches))]
