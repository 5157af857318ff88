"""Beam search, batched over sentences and hypotheses."""

import numpy as np
import torch
from torch import Tensor

from kotrans.config.config import SearchConfig
from kotrans.errors import UsageError
from kotrans.search.choice import Floats, Ints, check_possible
from kotrans.search.follow import greedy_search
from kotrans.search.repetition import Repetitions
from kotrans.search.stepper import State, Stepper, keep_rows
from kotrans.search.trellis import End, Hypothesis, Trellis, length_limits, length_penalty
from kotrans.tokenizer import BOS, EOS

# Shape key: B sentences, N rows alive, M nodes (hypotheses that go on or have just ended), k pieces of a row.


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
    most probable continuations of its hypotheses, less those that `Repetitions` passes over; one that ends in EOS keeps
    its place, so that a beam of 1 is greedy for every length penalty. A sentence is done when its places are all taken
    by ends, when nothing alive can still be better than the worst of its `n_best`, or at its maximum length, where what
    is alive is cut.
    Raises UsageError if `n_best` is more than the beam.
    """
    _check_n_best(n_best, config.beam)
    trellis = Trellis(mask, config)
    sentences = _Sentences(mask, n_best, config)
    repetitions = Repetitions(len(source), config.max_repetitions)
    alive = np.arange(len(source))  # (N,) node of each row; the rows of a sentence lie together, best first
    previous = torch.full((len(source),), BOS)  # (N,)
    state = stepper.start(source, mask)
    while len(alive):
        logits, state, weights = stepper.step(state, previous.to(source.device))  # (N, V), (N, S)
        choices = repetitions.most_probable(logits, int(sentences.places.max()))  # (N, k) each
        rows, tokens, chosen = _continue(*choices, trellis.owners[alive], trellis.totals[alive], sentences.places)
        trellis.grow(alive, rows, tokens, chosen, weights)
        alive = sentences.settle(trellis, tokens)
        repetitions.append(rows[alive], tokens[alive])
        state = keep_rows(stepper, state, torch.from_numpy(rows[alive]), len(logits))
        previous = torch.from_numpy(tokens[alive])
    return sentences.collect(trellis)


def _check_n_best(n_best: int, beam: int) -> None:
    if n_best > beam:
        raise UsageError(
            f"n-best: {n_best} translations are asked for, but search.beam keeps {beam}; set it to {n_best}"
        )


class _Sentences:
    """The places of the sentences (B) and the hypotheses that have ended."""

    def __init__(self, mask: Tensor, n_best: int, config: SearchConfig) -> None:
        limits = length_limits(mask, config)
        self.places = np.full(len(mask), config.beam)  # (B,) that are free
        self._n_best = n_best
        self._limits = np.array(limits, np.int64)  # (B,)
        self._longest_penalties = np.array([length_penalty(limit, config.length_penalty) for limit in limits])  # (B,)
        self._to_beat = np.full(len(mask), -np.inf)  # (B,) the n-th best score, once there are as many
        self._ends: list[list[End]] = [[] for _ in limits]
        self._length = 0

    def settle(self, trellis: Trellis, tokens: Ints) -> Ints:
        """Notes the hypotheses that end with this step of tokens (M,); gives the nodes (N,) that go on.

        A sentence goes on if its most probable hypothesis alive can still become one of the n best. Log-probabilities
        and coverage penalties are at most 0, so the best it can do is to lose nothing more until the maximum length,
        where the normalisation is most lenient.
        """
        self._length += 1
        owners = trellis.owners  # (M,)
        ends = (tokens == EOS) | (self._limits[owners] == self._length)  # (M,)
        if ends.any():
            self._note(ends.nonzero()[0], trellis, tokens)
        nodes = (~ends).nonzero()[0]  # (N,)
        of = owners[nodes]  # (N,)
        # The first node of a sentence is its most probable.
        best = trellis.totals[nodes[np.searchsorted(of, of)]]  # (N,)
        return nodes[best / self._longest_penalties[of] > self._to_beat[of]]

    def _note(self, nodes: Ints, trellis: Trellis, tokens: Ints) -> None:
        scores = trellis.scores()  # (M,)
        for node in nodes.tolist():
            owner = int(trellis.owners[node])
            ends = self._ends[owner]
            ends.append(End(int(tokens[node]) != EOS, -float(scores[node]), self._length, node))
            self.places[owner] -= 1
            if len(ends) >= self._n_best:
                self._to_beat[owner] = -sorted(ends)[self._n_best - 1].negative_score

    def collect(self, trellis: Trellis) -> list[list[Hypothesis]]:
        """The n best of each sentence, best first."""
        best = [sorted(ends)[: self._n_best] for ends in self._ends]
        owners = [owner for owner, ends in enumerate(best) for _ in ends]
        hypotheses = iter(trellis.hypotheses(owners, [end for ends in best for end in ends]))
        return [[next(hypotheses) for _ in ends] for ends in best]


def _continue(log_probs: Floats, pieces: Ints, owners: Ints, totals: Floats, places: Ints) -> tuple[Ints, Ints, Floats]:
    """The most probable continuations for the free places: row, piece and log-probability (M,) of each.

    log_probs and pieces (N, k) of each row's best, owners (N,) and totals (N,) of the rows, places (B,). The
    continuations of a sentence lie together, best first; of equal ones, the better parent's and then the smaller id
    comes first.
    """
    k = log_probs.shape[1]
    counts = np.bincount(owners, minlength=len(places))  # (B,)
    first = counts.cumsum() - counts  # (B,) first row of each sentence
    grid = np.full((len(places), int(counts.max()), k), -np.inf)  # (B, slots, k)
    grid[owners, np.arange(len(owners)) - first[owners]] = totals[:, None] + log_probs
    sums = grid.reshape(len(places), -1)  # (B, slots * k)
    check_possible(sums.max(1)[counts > 0])
    order = np.argsort(-sums, axis=1, kind="stable")[:, : places.max()]  # (B, width)
    possible = np.take_along_axis(sums, order, 1) > -np.inf  # (B, width)
    taken = (np.arange(order.shape[1]) < places[:, None]) & possible  # (B, width)
    row = (first[:, None] + order // k)[taken]  # (M,)
    choice = (order % k)[taken]  # (M,)
    return row, pieces[row, choice], log_probs[row, choice]
