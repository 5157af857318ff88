"""Beam search, batched over sentences and hypotheses."""

import torch
from torch import Tensor

from kotrans.config.config import SearchConfig
from kotrans.errors import UsageError
from kotrans.search.choice import check_possible, forbid_special, largest
from kotrans.search.follow import greedy_search
from kotrans.search.stepper import State, Stepper, keep_rows
from kotrans.search.trellis import End, Hypothesis, Trellis, length_limits, length_penalty
from kotrans.tokenizer import BOS, EOS

# Shape key: B sentences, N rows alive, M nodes (hypotheses that go on or have just ended), V target vocabulary.


def search(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, n_best: int = 1
) -> list[list[Hypothesis]]:
    """The `n_best` translations of each sentence, best first: greedy if the beam is 1. See `beam_search`."""
    _check_n_best(n_best, config.beam)
    if config.beam == 1:
        return [[hypothesis] for hypothesis in greedy_search(stepper, source, mask, config)]
    return beam_search(stepper, source, mask, config, n_best)


@torch.no_grad()
def beam_search(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, n_best: int = 1
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each sentence, best first, of those that the beam reached; all distinct.

    source (B, S), mask (B, S) true on real pieces. Each sentence has `config.beam` places. A step fills them with the
    most probable continuations of its hypotheses; one that ends in EOS keeps its place, so that a beam of 1 is greedy
    for every length penalty. A sentence is done when its places are all taken by ends, when nothing alive can still
    be better than the worst of its `n_best`, or at its maximum length, where what is alive is cut.
    Raises UsageError if `n_best` is more than the beam.
    """
    _check_n_best(n_best, config.beam)
    trellis = Trellis(mask, config)
    sentences = [_Sentence(limit, n_best, config) for limit in length_limits(mask, config)]
    parents = torch.arange(len(source))  # (N,) node of each row; the rows of a sentence lie together, best first
    previous = torch.full((len(source),), BOS)  # (N,)
    length = 0
    state = stepper.start(source, mask)
    while parents.numel():
        logits, state, weights = stepper.step(state, previous.to(source.device))  # (N, V), (N, S)
        places = torch.tensor([sentence.places for sentence in sentences])  # (B,)
        rows, previous, chosen = _continue(logits, trellis.owners[parents], trellis.totals[parents], places)
        trellis.grow(parents[rows], previous, chosen, None if weights is None else weights.cpu()[rows])
        length += 1
        parents = _settle(sentences, trellis, previous, length)
        state = keep_rows(stepper, state, rows[parents], len(logits))
        previous = previous[parents]
    return _collect(sentences, trellis)


def _check_n_best(n_best: int, beam: int) -> None:
    if n_best > beam:
        raise UsageError(
            f"n-best: {n_best} translations are asked for, but search.beam keeps {beam}; set it to {n_best}"
        )


class _Sentence:
    """The places of one sentence and the hypotheses that have ended."""

    def __init__(self, limit: int, n_best: int, config: SearchConfig) -> None:
        self.limit = limit
        self.places = config.beam
        self.ends: list[End] = []
        self._n_best = n_best
        self._longest_penalty = length_penalty(limit, config.length_penalty)

    def add(self, end: End) -> None:
        self.ends.append(end)
        self.places -= 1

    def is_done(self, best_alive: float) -> bool:
        """True if a hypothesis alive, of log-probability `best_alive`, cannot become one of the n best.

        Log-probabilities and coverage penalties are at most 0, so the best it can do is to lose nothing more until
        the maximum length, where the normalisation is most lenient.
        """
        kept = self.best()
        return len(kept) == self._n_best and best_alive / self._longest_penalty <= -kept[-1].negative_score

    def best(self) -> list[End]:
        return sorted(self.ends)[: self._n_best]


def _continue(logits: Tensor, owners: Tensor, totals: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The most probable continuations for the free places: row, piece and log-probability (M,) of each.

    logits (N, V), owners (N,) and totals (N,) of the rows, places (B,). The continuations of a sentence lie
    together, best first; of equal ones, the better parent's and then the smaller id comes first.
    """
    width = int(places.max())
    total = logits.logsumexp(1, keepdim=True).cpu().double()  # (N, 1)
    forbid_special(logits)
    best, pieces = (chosen.cpu() for chosen in largest(logits, min(width, logits.size(1))))  # (N, k)
    log_probs = best.double() - total  # (N, k)
    counts = owners.bincount(minlength=len(places))  # (B,)
    first = counts.cumsum(0) - counts  # (B,) first row of each sentence
    slot = torch.arange(len(owners)) - first[owners]  # (N,)
    grid = totals.new_full((len(places), int(counts.max()), best.size(1)), -torch.inf)  # (B, slots, k)
    grid[owners, slot] = totals.unsqueeze(1) + log_probs
    sums, flat = largest(grid.flatten(1), min(width, grid[0].numel()))  # (B, width)
    check_possible(sums[counts > 0, 0])
    taken = (torch.arange(sums.size(1)) < places.unsqueeze(1)) & (sums > -torch.inf)  # (B, width)
    row = (first.unsqueeze(1) + flat // best.size(1))[taken]  # (M,)
    choice = (flat % best.size(1))[taken]  # (M,)
    return row, pieces[row, choice], log_probs[row, choice]


def _settle(sentences: list[_Sentence], trellis: Trellis, tokens: Tensor, length: int) -> Tensor:
    """Notes the hypotheses that end with this step; gives the nodes (N,) that go on."""
    owners, scores = trellis.owners.tolist(), trellis.scores().tolist()
    alive: dict[int, list[int]] = {}
    for node, token in enumerate(tokens.tolist()):
        sentence = sentences[owners[node]]
        if token == EOS or length == sentence.limit:
            sentence.add(End(token != EOS, -scores[node], length, node))
        else:
            alive.setdefault(owners[node], []).append(node)
    # The first node of a sentence is its most probable.
    going_on = (
        nodes for owner, nodes in alive.items() if not sentences[owner].is_done(float(trellis.totals[nodes[0]]))
    )
    return torch.tensor([node for nodes in going_on for node in nodes], dtype=torch.long)


def _collect(sentences: list[_Sentence], trellis: Trellis) -> list[list[Hypothesis]]:
    best = [sentence.best() for sentence in sentences]
    owners = [owner for owner, ends in enumerate(best) for _ in ends]
    hypotheses = iter(trellis.hypotheses(owners, [end for ends in best for end in ends]))
    return [[next(hypotheses) for _ in ends] for ends in best]
