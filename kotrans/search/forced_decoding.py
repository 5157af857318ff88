"""Forced decoding: scores and attention weights of given translations."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import BOS, EOS
from kotrans.search.hypotheses import BackpointerTree, End, Hypothesis
from kotrans.search.stepper import State, Stepper, keep_rows

# Shape key: B sentences, N rows alive, S source positions, T longest target with EOS, V target pieces.


@torch.no_grad()
def forced_decoding(
    stepper: Stepper[State], source: Tensor, mask: Tensor, targets: Sequence[Sequence[int]], config: SearchConfig
) -> list[Hypothesis]:
    """Returns the given translations with the scores that a search would give them.

    source (B, S), mask (B, S) true on real pieces; targets: ids without BOS and EOS, one sequence per sentence.
    """
    given = np.full((len(targets), max(map(len, targets), default=0) + 1), EOS)  # (B, T)
    for row, target in zip(given, targets, strict=True):
        row[: len(target)] = target
    tree, state = BackpointerTree(mask, config), stepper.start(source, mask)
    ends: dict[int, End] = {}
    alive = np.arange(len(source))  # (N,) node of each row
    previous = torch.full((len(source),), BOS)  # (N,)
    length = 0
    while len(alive):
        logits, state, weights = stepper.step(state, previous.to(source.device))  # (N, V), (N, S)
        tokens = given[tree.owners[alive], length]  # (N,)
        chosen = logits.gather(1, torch.from_numpy(tokens).to(logits.device).unsqueeze(1)).squeeze(1)  # (N,)
        log_probs = (chosen.cpu().double() - logits.logsumexp(1).cpu().double()).numpy()  # (N,)
        tree.grow(alive, np.arange(len(alive)), tokens, log_probs, weights)
        length += 1
        done = tokens == EOS  # (N,)
        if done.any():
            scores = tree.scores()
            for node in done.nonzero()[0].tolist():
                ends[int(tree.owners[node])] = End(False, -float(scores[node]), length, node)
        alive = (~done).nonzero()[0]
        state = keep_rows(stepper, state, torch.from_numpy(alive), len(tokens))
        previous = torch.from_numpy(tokens[alive])
    return tree.hypotheses(sorted(ends), [ends[sentence] for sentence in sorted(ends)])
