"""Hypotheses of a search, stored as a tree of pieces with back-pointers, and their scores.

Everything here is NumPy on the CPU, and sums are float64: a float32 sum of a hundred log-probabilities would round by
more than near-equal hypotheses differ, and not every accelerator has float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kotrans.config.schema import SearchConfig
from kotrans.engine.stepper import Booleans, Floats, Ints, Weights

# Shape key: B sentences, J sentences that join, N rows of a step, M nodes that a step adds, K hypotheses or kept
# sentences, T longest hypothesis, S source positions.


@dataclass(frozen=True)
class Hypothesis:
    """A translation in ids, without BOS and EOS, and its scores."""

    ids: tuple[int, ...]
    score: float
    """`log_prob` divided by the length penalty, plus the coverage penalty: hypotheses are ranked by it."""
    log_prob: float
    """Sum of `token_log_probs`."""
    token_log_probs: tuple[float, ...]
    """One per id, and one for EOS if it is finished."""
    weights: Weights | None = field(compare=False)
    """Attention weights, one row per element of `token_log_probs`, one column per real source position; or None."""
    finished: bool
    """False if it was cut at the maximum length, True if it ends in EOS."""


class End(NamedTuple):
    """The last node of a hypothesis; ends sort from best to worst.

    Hypotheses cut at the maximum length sort after all finished ones: without EOS their scores are not comparable.
    Those that lack a constraint are last. Equal scores are ranked by length, then by their order in the beam.
    """

    cut: bool
    incomplete: bool
    negative_score: float
    length: int
    node: int


class _Step(NamedTuple):
    rows: Ints  # (M,) row that each node continues
    parents: Ints  # (M,) node of the previous step
    tokens: Ints  # (M,)
    log_probs: Floats  # (M,)
    weights: Weights | None  # (N, S) attention weights of the rows


class BackpointerTree:
    """Hypotheses of a search as nodes that point to their parents; sentences can join between steps.

    A node is a hypothesis: its piece after those of its ancestors.
    """

    def __init__(self, mask: Booleans, config: SearchConfig) -> None:
        """mask (B, S) is true on real pieces, which come first."""
        self.mask = mask
        self.config = config
        self.totals = np.zeros(len(mask))  # (M,) log-probability of each node of the last step
        self._attended: Floats = np.zeros(
            mask.shape
        )  # (M, S) attention received by each position, for the coverage penalty
        self._owners = np.arange(len(mask))  # (M,)
        self._begins = np.zeros(len(mask), np.int64)  # (B,) first step of each sentence
        self._steps: list[_Step] = []

    def grow(self, alive: Ints, rows: Ints, tokens: Ints, log_probs: Floats, weights: Weights | None) -> None:
        """Adds a step.

        alive (N,) are the nodes of the last step (sentences at first) that the rows of the step belong to, weights
        (N, S) their attention weights; S may be smaller or larger than that of the mask, by positions of padding.
        rows, tokens and log_probs (M,) describe the new nodes.
        """
        parents = alive[rows]
        self._owners = self._owners[parents]
        self.totals = self.totals[parents] + log_probs
        if self.config.coverage_penalty:
            self._attended = self._attended[parents]
            if weights is not None:
                attended = weights[rows, : self.mask.shape[1]]  # (M, S)
                self._attended[:, : attended.shape[1]] += attended
        self._steps.append(_Step(rows, parents, tokens, log_probs, weights))

    def join(self, kept: Ints, mask: Booleans) -> Ints:
        """Keeps the sentences `kept` (K,), in ascending order, and appends those of mask (J, S).

        Returns the root nodes (J,) of the new sentences. Sentences are renumbered; nodes of removed sentences must not
        be used again.
        """
        numbers = np.full(len(self.mask), -1)  # (B,)
        numbers[kept] = np.arange(len(kept))
        begins, new = self._begins[kept], len(mask)
        self.mask = _joined(self.mask[kept], mask)  # (K + J, S)
        self._owners = np.concatenate([numbers[self._owners], len(kept) + np.arange(new)])
        self.totals = np.concatenate([self.totals, np.zeros(new)])
        if self.config.coverage_penalty:
            attended: Floats = np.zeros((len(self.totals), self.mask.shape[1]))  # (M + J, S)
            width = min(self._attended.shape[1], attended.shape[1])
            attended[: len(self._attended), :width] = self._attended[:, :width]
            self._attended = attended
        unused = int(begins.min(initial=len(self._steps)))  # steps before the first one of any kept sentence
        del self._steps[:unused]
        self._begins = np.concatenate([begins - unused, np.full(new, len(self._steps))])
        return np.arange(len(self.totals) - new, len(self.totals))

    @property
    def owners(self) -> Ints:
        """(M,) the sentence of each node of the last step."""
        return self._owners

    @property
    def lengths(self) -> Ints:
        """(B,) the pieces of the hypotheses alive of each sentence."""
        return len(self._steps) - self._begins

    def scores(self) -> Floats:
        """Returns the scores (M,) of the last step's nodes as ends (Wu et al. 2016, arXiv 1609.08144, eq. 14).

        Equation, with α the length penalty and β the coverage penalty of the config, |y| the length with EOS:
            score = log p(y | x) / ((5 + |y|) / 6)^α + β Σ_j log min(Σ_i α_ij, 1)
        """
        penalties = length_penalties(self.lengths, self.config.length_penalty)  # (B,)
        scores = self.totals / penalties[self._owners]
        if self._steps[-1].weights is not None and self.config.coverage_penalty:
            # Attention of 0 is replaced by the smallest positive number, so that scores are finite.
            covered = np.log(self._attended.clip(np.finfo(np.float64).tiny, 1.0))  # (M, S)
            scores = scores + self.config.coverage_penalty * (covered * self.mask[self._owners]).sum(1)
        return scores

    def hypotheses(self, owners: Sequence[int], ends: Sequence[End]) -> list[Hypothesis]:
        """Returns the hypotheses (K) with these ends; owners are their sentences."""
        if not ends:
            return []
        lengths = np.array([end.length for end in ends])  # (K,)
        nodes = np.array([end.node for end in ends])  # (K,) of the current step
        first = self._begins[owners]  # (K,)
        ids = np.zeros((len(ends), int(lengths.max())), np.int64)  # (K, T)
        log_probs = np.zeros(ids.shape)  # (K, T)
        weights = None
        if (last := self._steps[-1].weights) is not None:
            weights = np.zeros((*ids.shape, self.mask.shape[1]), last.dtype)  # (K, T, S)
        for t in reversed(range(first.min(), (first + lengths).max())):
            step, current = self._steps[t], ((first <= t) & (t < first + lengths)).nonzero()[0]
            node, place = nodes[current], t - first[current]
            ids[current, place], log_probs[current, place] = step.tokens[node], step.log_probs[node]
            nodes[current] = step.parents[node]
            if weights is not None and step.weights is not None:
                rows = step.weights[step.rows[node], : weights.shape[2]]
                weights[current, place, : rows.shape[1]] = rows
        masks = self.mask[owners]  # (K, S)
        return [
            _hypothesis(end, ids[k].tolist(), log_probs[k].tolist(), None if weights is None else weights[k], masks[k])
            for k, end in enumerate(ends)
        ]


def length_penalties(lengths: Ints, alpha: float) -> Floats:
    """Returns the divisors of log-probabilities (Wu et al. 2016, arXiv 1609.08144, eq. 14); lengths with EOS."""
    penalties: Floats = ((5 + lengths) / 6) ** alpha
    return penalties


def length_limits(mask: Booleans, config: SearchConfig) -> list[int]:
    """Returns the maximum length in pieces, with EOS, of a translation of each sentence of mask (B, S)."""
    return [int(config.max_length_ratio * pieces) + config.max_length_extra for pieces in mask.sum(1).tolist()]


def _joined(mask: Booleans, other: Booleans) -> Booleans:
    """Returns the rows of both masks, as wide as the longest sentence."""
    width = max((int(each.sum(1).max()) for each in (mask, other) if len(each)), default=0)
    return np.concatenate(
        [np.pad(each[:, :width], ((0, 0), (0, max(0, width - each.shape[1])))) for each in (mask, other)]
    )


def _hypothesis(
    end: End, ids: list[int], log_probs: list[float], weights: Weights | None, mask: Booleans
) -> Hypothesis:
    return Hypothesis(
        ids=tuple(ids[: end.length if end.cut else end.length - 1]),
        score=-end.negative_score,
        log_prob=sum(log_probs[: end.length]),
        token_log_probs=tuple(log_probs[: end.length]),
        weights=None if weights is None else weights[: end.length, mask],
        finished=not end.cut,
    )
