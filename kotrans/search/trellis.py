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

from kotrans.config.config import SearchConfig
from kotrans.search.choice import Floats, Ints

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


class Trellis:
    """Grows one step at a time; a node is a piece after the pieces on its way back. mask (B, S) true on real pieces."""

    def __init__(self, mask: Tensor, config: SearchConfig) -> None:
        self.mask = mask.cpu()
        self.config = config
        self.totals = np.zeros(len(mask))  # (M,) log-probability of each node's hypothesis
        self._attended = np.zeros(mask.shape)  # (M, S) attention that each position has had
        self._owners = np.arange(len(mask))  # (M,) sentence of each node
        self._steps: list[_Step] = []

    def grow(self, alive: Ints, rows: Ints, tokens: Ints, log_probs: Floats, weights: Tensor | None) -> None:
        """Adds a step. Its rows are the nodes alive (N,) of the last one (sentences at first), weights (N, S) theirs.

        The new nodes (M,) continue the given rows.
        """
        parents = alive[rows]
        self._owners = self._owners[parents]
        self.totals = self.totals[parents] + log_probs
        weights = None if weights is None else weights.cpu()
        if weights is not None and self.config.coverage_penalty:
            self._attended = self._attended[parents] + weights.double().numpy()[rows]
        self._steps.append(_Step(rows, parents, tokens, log_probs, weights))

    @property
    def owners(self) -> Ints:
        """(M,) the sentence of each node of the last step."""
        return self._owners

    def scores(self) -> Floats:
        """(M,) score of the last step's nodes as ends (Wu et al. 2016, arXiv 1609.08144, equation 14)."""
        scores = self.totals / length_penalty(len(self._steps), self.config.length_penalty)
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
        ids = np.zeros((len(ends), int(lengths.max())), np.int64)  # (K, T)
        log_probs = np.zeros(ids.shape)  # (K, T)
        weights = _room_for(self._steps[0].weights, ids)  # (K, T, S)
        for t in reversed(range(ids.shape[1])):
            step, here = self._steps[t], (lengths > t).nonzero()[0]
            node = at[here]
            ids[here, t], log_probs[here, t], at[here] = step.tokens[node], step.log_probs[node], step.parents[node]
            if weights is not None and step.weights is not None:
                weights[here, t] = step.weights[step.rows[node]]
        masks = self.mask[torch.tensor(owners)]  # (K, S)
        return [
            _hypothesis(end, ids[k].tolist(), log_probs[k].tolist(), None if weights is None else weights[k], masks[k])
            for k, end in enumerate(ends)
        ]


def length_penalty(length: int, alpha: float) -> float:
    """What a log-probability is divided by (Wu et al. 2016, arXiv 1609.08144, equation 14); EOS counts."""
    return float(((5 + length) / 6) ** alpha)


def length_limits(mask: Tensor, config: SearchConfig) -> list[int]:
    """The most pieces, EOS counted, that a translation of each sentence may have."""
    return [int(config.max_length_ratio * pieces) + config.max_length_extra for pieces in mask.sum(1).tolist()]


def _room_for(weights: Tensor | None, ids: Ints) -> Tensor | None:
    return None if weights is None else weights.new_zeros(*ids.shape, weights.size(1))


def _hypothesis(end: End, ids: list[int], log_probs: list[float], weights: Tensor | None, mask: Tensor) -> Hypothesis:
    return Hypothesis(
        ids=tuple(ids[: end.length if end.cut else end.length - 1]),
        score=-end.negative_score,
        log_prob=sum(log_probs[: end.length]),
        token_log_probs=tuple(log_probs[: end.length]),
        weights=None if weights is None else weights[: end.length, mask].clone(),
        finished=not end.cut,
    )
