"""One hypothesis a sentence: greedy search, and translations that are given."""

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

# Shape key: B sentences, N rows alive, S source length, V target vocabulary.
Choose = Callable[[Tensor, Ints, int, RepetitionBlocker], tuple[Ints, Floats]]
"""Takes logits (N, V), sentences (N,), how many pieces stand and what they repeat; gives the next pieces and their
log-probabilities (N,)."""


@torch.no_grad()
def greedy_search(stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig) -> list[Hypothesis]:
    """The most probable next piece that `RepetitionBlocker` does not pass over, until EOS or the maximum length.

    source and mask (B, S).
    """

    def best(logits: Tensor, owners: Ints, length: int, repetitions: RepetitionBlocker) -> tuple[Ints, Floats]:
        log_probs, pieces = repetitions.most_probable(logits, 1)  # (N, 1)
        check_possible(log_probs)
        return pieces[:, 0], log_probs[:, 0]

    repetitions = RepetitionBlocker(len(source), config.max_repetitions)
    return _follow(stepper, source, mask, config, length_limits(mask, config), repetitions, best)


@torch.no_grad()
def score_targets(
    stepper: Stepper[State], source: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], config: SearchConfig
) -> list[Hypothesis]:
    """The given translations (ids without BOS and EOS, one a sentence) scored exactly as a search scores its own."""
    limits = [len(target) + 1 for target in targets]
    wanted = np.full((len(targets), max(limits, default=0)), EOS)  # (B, T)
    for row, target in zip(wanted, targets, strict=True):
        row[: len(target)] = target

    def given(logits: Tensor, owners: Ints, length: int, repetitions: RepetitionBlocker) -> tuple[Ints, Floats]:
        pieces = wanted[owners, length]  # (N,)
        chosen = logits.gather(1, torch.from_numpy(pieces).to(logits.device).unsqueeze(1)).squeeze(1)  # (N,)
        return pieces, (chosen.cpu().double() - logits.logsumexp(1).cpu().double()).numpy()

    return _follow(stepper, source, mask, config, limits, RepetitionBlocker(len(source), None), given)


def _follow(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, limits: list[int],
    repetitions: RepetitionBlocker, choose: Choose,
) -> list[Hypothesis]:  # fmt: skip
    trellis = BackpointerTree(mask, config)
    ends: dict[int, End] = {}
    longest = np.array(limits, np.int64)  # (B,)
    alive = np.arange(len(source))  # (N,) node of each row
    previous = torch.full((len(source),), BOS)  # (N,)
    length = 0
    state = stepper.start(source, mask)
    while len(alive):
        logits, state, weights = stepper.step(state, previous.to(source.device))  # (N, V), (N, S)
        tokens, log_probs = choose(logits, trellis.owners[alive], length, repetitions)  # (N,)
        trellis.grow(alive, np.arange(len(alive)), tokens, log_probs, weights)
        length += 1
        stops = (tokens == EOS) | (longest[trellis.owners] == length)  # (N,)
        if stops.any():
            scores = trellis.scores()
            for node in stops.nonzero()[0].tolist():
                end = End(int(tokens[node]) != EOS, -float(scores[node]), length, node)
                ends[int(trellis.owners[node])] = end
        alive = (~stops).nonzero()[0]
        repetitions.append(alive, tokens[alive])
        state = keep_rows(stepper, state, torch.from_numpy(alive), len(tokens))
        previous = torch.from_numpy(tokens[alive])
    return trellis.hypotheses(sorted(ends), [ends[sentence] for sentence in sorted(ends)])
