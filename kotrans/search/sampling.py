"""Drawing translations at random from the model's distribution, instead of searching for the most probable one.

Sampled translations vary more than those of beam search, which makes better back-translations (Edunov et al. 2018,
"Understanding Back-Translation at Scale", section 4).
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from kotrans.config.schema import SearchConfig
from kotrans.engine.stepper import Booleans, Floats, Ints, State, Stepper, Weights, check_possible
from kotrans.search.greedy import decode_one
from kotrans.search.hypotheses import Hypothesis, length_limits
from kotrans.search.repetition_blocking import RepetitionBlocker

# Shape key: B sentences, N rows alive, S source positions, k pieces per row.
_ALL = 2**30  # more pieces than any vocabulary has


def sample(
    stepper: Stepper[State], source: Ints, mask: Booleans, config: SearchConfig, n_best: int | Sequence[int] = 1
) -> list[list[Hypothesis]]:
    """Returns `n_best` random translations of each sentence of source (B, S), mask (B, S), in the order of drawing.

    Each depends on its source, its number among those of the sentence, and `search.seed` only: neighbours, batches and
    processes do not change it. Raises ModelError if no piece has a probability.
    """
    wanted = np.broadcast_to(np.array(n_best, np.int64), len(source)).tolist()
    rows = np.repeat(np.arange(len(source)), wanted)
    numbers = [number for count in wanted for number in range(count)]
    draws = [
        _generator(source[row][mask[row]], number, config.seed)
        for row, number in zip(rows.tolist(), numbers, strict=True)
    ]
    repetitions = RepetitionBlocker(len(rows), config.max_repetitions)
    most = config.top_k or _ALL

    def drawn(state: State, previous: Ints, sentences: Ints, length: int) -> tuple[Ints, Floats, State, Weights | None]:
        log_probs, pieces, state, weights = repetitions.step(stepper, state, previous, most)  # (N, k)
        check_possible(log_probs[:, 0])
        uniform = np.array([draws[sentence].random() for sentence in sentences.tolist()])  # (N,)
        columns = _columns(log_probs, uniform, config)  # (N,)
        here = np.arange(len(columns))
        return pieces[here, columns], log_probs[here, columns], state, weights

    limits = length_limits(mask[rows], config)
    found = iter(decode_one(stepper, source[rows], mask[rows], config, limits, drawn, repetitions))
    return [[next(found) for _ in range(count)] for count in wanted]


def _columns(log_probs: Floats, uniform: Floats, config: SearchConfig) -> Ints:
    """Returns the column (N,) that a number in [0, 1) draws from log_probs (N, k), whose rows are sorted.

    `search.top_p` (Holtzman et al. 2020, section 3.1) leaves the most probable pieces that together have at least that
    probability, before the temperature changes it.
    """
    before = np.exp(log_probs).cumsum(1) - np.exp(log_probs)  # (N, k) probability of the better pieces
    kept = np.where(before < config.top_p, log_probs / config.temperature, -np.inf)
    kept = np.exp(kept - kept.max(1, keepdims=True))
    cumulative = kept.cumsum(1)
    return (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(1)


def _generator(source: Ints, number: int, seed: int) -> np.random.Generator:
    text = ",".join(map(str, [seed, number, *source.tolist()]))
    return np.random.default_rng(int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little"))
