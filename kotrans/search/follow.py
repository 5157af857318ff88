"""One hypothesis a sentence: greedy search, and translations that are given."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kotrans.config.config import SearchConfig
from kotrans.search.choice import check_possible, forbid_special
from kotrans.search.stepper import State, Stepper, keep_rows
from kotrans.search.trellis import End, Hypothesis, Trellis, length_limits
from kotrans.tokenizer import BOS, EOS

# Shape key: B sentences, N rows alive, S source length, V target vocabulary.
Choose = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""Takes logits (N, V), sentences (N,) and how many pieces stand; gives the next pieces and their logits, (N,) each."""


@torch.no_grad()
def greedy_search(stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig) -> list[Hypothesis]:
    """The most probable next piece, again and again, until EOS or the maximum length; source and mask (B, S)."""

    def most_probable(logits: Tensor, owners: Tensor, length: int) -> tuple[Tensor, Tensor]:
        forbid_special(logits)
        best, pieces = logits.max(1)  # (N,) of equal ones the first
        check_possible(best)
        return pieces.cpu(), best

    return _follow(stepper, source, mask, config, length_limits(mask, config), most_probable)


@torch.no_grad()
def score_targets(
    stepper: Stepper[State], source: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], config: SearchConfig
) -> list[Hypothesis]:
    """The given translations (ids without BOS and EOS, one a sentence) scored exactly as a search scores its own."""
    limits = [len(target) + 1 for target in targets]
    wanted = torch.full((len(targets), max(limits, default=0)), EOS)  # (B, T)
    for row, target in zip(wanted, targets, strict=True):
        row[: len(target)] = torch.tensor(target, dtype=torch.long)

    def given(logits: Tensor, owners: Tensor, length: int) -> tuple[Tensor, Tensor]:
        pieces = wanted[owners, length]  # (N,)
        return pieces, logits.gather(1, pieces.to(logits.device).unsqueeze(1)).squeeze(1)

    return _follow(stepper, source, mask, config, limits, given)


def _follow(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, limits: list[int], choose: Choose
) -> list[Hypothesis]:
    trellis = Trellis(mask, config)
    ends: dict[int, End] = {}
    longest = torch.tensor(limits, dtype=torch.long)  # (B,)
    parents = torch.arange(len(source))  # (N,) node of each row
    previous = torch.full((len(source),), BOS)  # (N,)
    length = 0
    state = stepper.start(source, mask)
    while parents.numel():
        logits, state, weights = stepper.step(state, previous.to(source.device))  # (N, V), (N, S)
        total = logits.logsumexp(1)  # (N,)
        previous, chosen = choose(logits, trellis.owners[parents], length)
        log_probs = chosen.cpu().double() - total.cpu().double()  # (N,)
        trellis.grow(parents, previous, log_probs, None if weights is None else weights.cpu())
        length += 1
        stops = (previous == EOS) | (longest[trellis.owners] == length)  # (N,)
        scores = trellis.scores()
        for node in stops.nonzero().flatten().tolist():
            cut = int(previous[node]) != EOS
            ends[int(trellis.owners[node])] = End(cut, -float(scores[node]), length, node)
        parents = (~stops).nonzero().flatten()
        state = keep_rows(stepper, state, parents, len(previous))
        previous = previous[parents]
    return trellis.hypotheses(sorted(ends), [ends[sentence] for sentence in sorted(ends)])
