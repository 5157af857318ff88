"""Decoding with one hypothesis per sentence: greedy search, and forced decoding of given translations."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import BOS, EOS
from kotrans.search.hypotheses import BackpointerTree, End, Hypothesis, length_limits
from kotrans.search.repetition_blocking import RepetitionBlocker
from kotrans.search.stepper import State, Stepper, keep_rows
from kotrans.search.topk import Floats, Ints, check_possible

# Shape key: B sentences, N rows alive, S source positions, T longest target with EOS, V target pieces.
Choose = Callable[[Tensor, Ints, int], tuple[Ints, Floats]]
"""Takes logits (N, V), sentences (N,) and the number of pieces so far; returns the next pieces and their
log-probabilities, (N,) each."""


@torch.no_grad()
def greedy_search(stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig) -> list[Hypothesis]:
    """Returns what `BeamSearch` returns with a beam of 1, without its bookkeeping per sentence.

    source (B, S), mask (B, S) true on real pieces. Raises ModelError if no piece has a probability.
    """
    repetitions = RepetitionBlocker(len(source), config.max_repetitions)

    def most_probable(logits: Tensor, sentences: Ints, length: int) -> tuple[Ints, Floats]:
        log_probs, pieces = repetitions.most_probable(logits, 1)  # (N, 1)
        check_possible(log_probs)
        return pieces[:, 0], log_probs[:, 0]

    return _decode(stepper, source, mask, config, length_limits(mask, config), most_probable, repetitions)


@torch.no_grad()
def forced_decoding(
    stepper: Stepper[State], source: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], config: SearchConfig
) -> list[Hypothesis]:
    """Returns the given translations with the scores that a search would give them.

    source (B, S), mask (B, S) true on real pieces; targets: ids without BOS and EOS, one sequence per sentence.
    """
    limits = [len(target) + 1 for target in targets]
    given = np.full((len(targets), max(limits, default=0)), EOS)  # (B, T)
    for row, target in zip(given, targets, strict=True):
        row[: len(target)] = target

    def forced(logits: Tensor, sentences: Ints, length: int) -> tuple[Ints, Floats]:
        pieces = given[sentences, length]  # (N,)
        chosen = logits.gather(1, torch.from_numpy(pieces).to(logits.device).unsqueeze(1)).squeeze(1)  # (N,)
        return pieces, (chosen.cpu().double() - logits.logsumexp(1).cpu().double()).numpy()

    return _decode(stepper, source, mask, config, limits, forced, RepetitionBlocker(len(source), None))


def _decode(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, limits: Sequence[int],
    choose: Choose, repetitions: RepetitionBlocker,
) -> list[Hypothesis]:  # fmt: skip
    """Extends one hypothesis per sentence by the chosen pieces, until EOS or its limit."""
    tree, state = BackpointerTree(mask, config), stepper.start(source, mask)
    ends: dict[int, End] = {}
    longest = np.array(limits, np.int64)  # (B,)
    alive = np.arange(len(source))  # (N,) node of each row
    previous = torch.full((len(source),), BOS)  # (N,)
    length = 0
    while len(alive):
        logits, state, weights = stepper.step(state, previous.to(source.device))  # (N, V), (N, S)
        tokens, log_probs = choose(logits, tree.owners[alive], length)  # (N,) each
        tree.grow(alive, np.arange(len(alive)), tokens, log_probs, weights)
        length += 1
        done = (tokens == EOS) | (longest[tree.owners] == length)  # (N,)
        if done.any():
            scores = tree.scores()
            for node in done.nonzero()[0].tolist():
                cut = int(tokens[node]) != EOS
                ends[int(tree.owners[node])] = End(cut, -float(scores[node]), length, node)
        alive = (~done).nonzero()[0]
        repetitions.append(alive, tokens[alive])
        state = keep_rows(stepper, state, torch.from_numpy(alive), len(tokens))
        previous = torch.from_numpy(tokens[alive])
    return tree.hypotheses(sorted(ends), [ends[sentence] for sentence in sorted(ends)])
