"""Decoding with one hypothesis per sentence: greedy search, and forced decoding of given translations."""

from collections.abc import Callable, Sequence

import numpy as np

from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import BOS, EOS
from kotrans.engine.stepper import Booleans, Floats, Ints, State, Stepper, Weights, check_possible, keep_rows
from kotrans.search.hypotheses import BackpointerTree, End, Hypothesis, length_limits
from kotrans.search.repetition_blocking import RepetitionBlocker

# Shape key: B sentences, N rows alive, S source positions, T longest target with EOS.
Advance = Callable[[State, Ints, Ints, int], tuple[Ints, Floats, State, Weights | None]]
"""Takes a state, the last pieces (N,), the sentences (N,) and the number of pieces so far; returns the next pieces and
their log-probabilities, (N,) each, the next state and attention weights (N, S) or None."""


def greedy_search(stepper: Stepper[State], source: Ints, mask: Booleans, config: SearchConfig) -> list[Hypothesis]:
    """Returns what `BeamSearch` returns with a beam of 1, without its bookkeeping per sentence.

    source (B, S), mask (B, S) true on real pieces. Raises ModelError if no piece has a probability.
    """
    repetitions = RepetitionBlocker(len(source), config.max_repetitions)

    def most_probable(
        state: State, previous: Ints, sentences: Ints, length: int
    ) -> tuple[Ints, Floats, State, Weights | None]:
        log_probs, pieces, state, weights = repetitions.step(stepper, state, previous, 1)  # (N, 1)
        check_possible(log_probs)
        return pieces[:, 0], log_probs[:, 0], state, weights

    return decode_one(stepper, source, mask, config, length_limits(mask, config), most_probable, repetitions)


def forced_decoding(
    stepper: Stepper[State], source: Ints, mask: Booleans, targets: Sequence[Sequence[int]], config: SearchConfig
) -> list[Hypothesis]:
    """Returns the given translations with the scores that a search would give them.

    source (B, S), mask (B, S) true on real pieces; targets: ids without BOS and EOS, one sequence per sentence.
    """
    limits = [len(target) + 1 for target in targets]
    given = np.full((len(targets), max(limits, default=0)), EOS)  # (B, T)
    for row, target in zip(given, targets, strict=True):
        row[: len(target)] = target

    def forced(
        state: State, previous: Ints, sentences: Ints, length: int
    ) -> tuple[Ints, Floats, State, Weights | None]:
        pieces = given[sentences, length]  # (N,)
        log_probs, state, weights = stepper.score(state, previous, pieces)
        return pieces, log_probs, state, weights

    return decode_one(stepper, source, mask, config, limits, forced, RepetitionBlocker(len(source), None))


def decode_one(
    stepper: Stepper[State], source: Ints, mask: Booleans, config: SearchConfig, limits: Sequence[int],
    advance: Advance[State], repetitions: RepetitionBlocker,
) -> list[Hypothesis]:  # fmt: skip
    """Returns one hypothesis per sentence, of the pieces that `advance` chooses, until EOS or its limit (B,)."""
    tree, state = BackpointerTree(mask, config), stepper.start(source, mask)
    ends: dict[int, End] = {}
    longest = np.array(limits, np.int64)  # (B,)
    alive = np.arange(len(source))  # (N,) node of each row
    previous = np.full(len(source), BOS)  # (N,)
    length = 0
    while len(alive):
        tokens, log_probs, state, weights = advance(state, previous, tree.owners[alive], length)
        tree.grow(alive, np.arange(len(alive)), tokens, log_probs, weights)
        length += 1
        done = (tokens == EOS) | (longest[tree.owners] == length)  # (N,)
        if done.any():
            scores = tree.scores()
            for node in done.nonzero()[0].tolist():
                cut = int(tokens[node]) != EOS
                ends[int(tree.owners[node])] = End(cut, False, -float(scores[node]), length, node)
        alive = (~done).nonzero()[0]
        repetitions.append(alive, tokens[alive])
        state = keep_rows(stepper, state, alive, len(tokens))
        previous = tokens[alive]
    return tree.hypotheses(sorted(ends), [ends[sentence] for sentence in sorted(ends)])
