"""The hypotheses of a search as a tree of pieces, their scores, and the way back from a last piece to the first.

Everything here lies on the CPU, and sums are float64 whatever the model computes in: a sum of a hundred float32
log-probabilities would round by more than near-equal hypotheses differ, and not every accelerator has float64. The
numbers of a step are few, and numpy spends less than torch on each operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kotrans.config.schema import SearchConfig
from kotrans.search.topk import Floats, Ints

# Shape key: B sentences, N rows of a step, M nodes that it made of them, K hypotheses, T longest hypothesis, S source
# length.


@dataclass(frozen=True)
class Hypothesis:
    """A translation in ids, without BOS and EOS, and what the model thinks of it."""

    ids: tuple[int, ...]
    score: float
    """`log_prob` normalised by length, plus the coverage penalty: what hypotheses are ranked by."""
    log_prob: float
    """Sum of `token_log_probs`."""
    token_log_probs: tuple[float, ...]
    """One for each id, and one for EOS if it is finished."""
    weights: Tensor | None = field(compare=False)
    """Attention weights, a row for each of `token_log_probs`, a column for each real source position; or None."""
    finished: bool
    """False if it was cut at the maximum length instead of ending in EOS."""


class End(NamedTuple):
    """The last node of a hypothesis; the smaller of two ends is the better hypothesis.

    A hypothesis cut at the maximum length stands behind all finished ones: it never paid for an EOS, so that its
    score does not compare. Equal scores are ranked by length, then by the order of the beam.
    """

    cut: bool
    negative_score: float
    length: int
    node: int


class _Step(NamedTuple):
    rows: Ints  # (M,) row that each node continues
    parents: Ints  # (M,) node of the step before
    tokens: Ints  # (M,)
    log_probs: Floats  # (M,)
    weights: Tensor | None  # (N, S) of the rows


class BackpointerTree:
    """Grows one step at a time; a node is a piece after the pieces on its way back. Sentences join between steps."""

    def __init__(self, mask: Tensor, config: SearchConfig) -> None:
        """mask (B, S) is true on real pieces, which stand first."""
        self.mask = mask.cpu()
        self.config = config
        self.totals = np.zeros(len(mask))  # (M,) log-probability of each node's hypothesis
        self._attended = np.zeros(mask.shape)  # (M, S) attention that each position has had, if it counts
        self._owners = np.arange(len(mask))  # (M,) sentence of each node
        self._begins = np.zeros(len(mask), np.int64)  # (B,) the first step of each sentence
        self._steps: list[_Step] = []

    def grow(self, alive: Ints, rows: Ints, tokens: Ints, log_probs: Floats, weights: Tensor | None) -> None:
        """Adds a step. Its rows are the nodes alive (N,) of the last one (sentences at first), weights (N, S) theirs.

        The new nodes (M,) continue the given rows. Weights may leave out or have positions more that no sentence has.
        """
        parents = alive[rows]
        self._owners = self._owners[parents]
        self.totals = self.totals[parents] + log_probs
        weights = None if weights is None else weights.cpu()
        if self.config.coverage_penalty:
            self._attended = self._attended[parents]
            if weights is not None:
                attended = weights.double().numpy()[rows, : self.mask.size(1)]  # (M, S)
                self._attended[:, : attended.shape[1]] += attended
        self._steps.append(_Step(rows, parents, tokens, log_probs, weights))

    def join(self, kept: Ints, mask: Tensor) -> Ints:
        """Forgets all sentences but some (K,), in rising order, and takes others in behind them; gives those's nodes.

        mask (J, S) as above. The sentences are numbered anew; no node of a forgotten one may be alive.
        """
        numbers = np.full(len(self.mask), -1)  # (B,)
        numbers[kept] = np.arange(len(kept))
        begins, new = self._begins[kept], len(mask)
        self.mask = _joined(self.mask[torch.from_numpy(kept)], mask.cpu())  # (K + J, S)
        self._owners = np.concatenate([numbers[self._owners], len(kept) + np.arange(new)])
        self.totals = np.concatenate([self.totals, np.zeros(new)])
        if self.config.coverage_penalty:
            attended = np.zeros((len(self.totals), self.mask.size(1)))  # (M + J, S)
            both = min(self._attended.shape[1], attended.shape[1])
            attended[: len(self._attended), :both] = self._attended[:, :both]
            self._attended = attended
        before = int(begins.min(initial=len(self._steps)))  # steps that no sentence left has part in
        del self._steps[:before]
        self._begins = np.concatenate([begins - before, np.full(new, len(self._steps))])
        return np.arange(len(self.totals) - new, len(self.totals))

    @property
    def owners(self) -> Ints:
        """(M,) the sentence of each node of the last step."""
        return self._owners

    @property
    def lengths(self) -> Ints:
        """(B,) the pieces that each sentence's hypotheses have, as far as it goes on."""
        return len(self._steps) - self._begins

    def scores(self) -> Floats:
        """(M,) score of the last step's nodes as ends (Wu et al. 2016, arXiv 1609.08144, equation 14)."""
        penalties = length_penalties(self.lengths, self.config.length_penalty)  # (B,)
        scores = self.totals / penalties[self._owners]
        if self._steps[-1].weights is not None and self.config.coverage_penalty:
            # A position that got no attention at all counts as one that got the least there is: scores stay finite.
            covered = np.log(self._attended.clip(np.finfo(np.float64).tiny, 1.0))  # (M, S)
            scores = scores + self.config.coverage_penalty * (covered * self.mask.numpy()[self._owners]).sum(1)
        return scores

    def hypotheses(self, owners: Sequence[int], ends: Sequence[End]) -> list[Hypothesis]:
        """The hypotheses (K) that stop at these ends, each of the sentence beside it."""
        if not ends:
            return []
        lengths = np.array([end.length for end in ends])  # (K,)
        at = np.array([end.node for end in ends])  # (K,)
        first = self._begins[owners]  # (K,)
        ids = np.zeros((len(ends), int(lengths.max())), np.int64)  # (K, T)
        log_probs = np.zeros(ids.shape)  # (K, T)
        weights = _room_for(self._steps[-1].weights, ids, self.mask)  # (K, T, S)
        for t in reversed(range(first.min(), (first + lengths).max())):
            step, here = self._steps[t], ((first <= t) & (t < first + lengths)).nonzero()[0]
            node, place = at[here], t - first[here]
            ids[here, place], log_probs[here, place] = step.tokens[node], step.log_probs[node]
            at[here] = step.parents[node]
            if weights is not None and step.weights is not None:
                found = step.weights[step.rows[node], : weights.size(2)]
                weights[here, place, : found.size(1)] = found
        masks = self.mask[torch.tensor(owners)]  # (K, S)
        return [
            _hypothesis(end, ids[k].tolist(), log_probs[k].tolist(), None if weights is None else weights[k], masks[k])
            for k, end in enumerate(ends)
        ]


def length_penalties(lengths: Ints, alpha: float) -> Floats:
    """What log-probabilities are divided by (Wu et al. 2016, arXiv 1609.08144, equation 14); EOS counts."""
    penalties: Floats = ((5 + lengths) / 6) ** alpha
    return penalties


def length_limits(mask: Tensor, config: SearchConfig) -> list[int]:
    """The most pieces, EOS counted, that a translation of each sentence may have."""
    return [int(config.max_length_ratio * pieces) + config.max_length_extra for pieces in mask.sum(1).tolist()]


def _room_for(weights: Tensor | None, ids: Ints, mask: Tensor) -> Tensor | None:
    return None if weights is None else weights.new_zeros(*ids.shape, mask.size(1))


def _joined(mask: Tensor, other: Tensor) -> Tensor:
    """Both masks below each other, as wide as the longest sentence."""
    width = max((int(each.sum(1).max()) for each in (mask, other) if len(each)), default=0)
    return torch.cat([functional.pad(each, (0, width - each.size(1))) for each in (mask, other)])


def _hypothesis(end: End, ids: list[int], log_probs: list[float], weights: Tensor | None, mask: Tensor) -> Hypothesis:
    return Hypothesis(
        ids=tuple(ids[: end.length if end.cut else end.length - 1]),
        score=-end.negative_score,
        log_prob=sum(log_probs[: end.length]),
        token_log_probs=tuple(log_probs[: end.length]),
        weights=None if weights is None else weights[: end.length, mask].clone(),
        finished=not end.cut,
    )
