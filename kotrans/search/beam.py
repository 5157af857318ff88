"""Beam search, batched over sentences and hypotheses."""

from collections.abc import Collection, Sequence
from typing import Generic

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import BOS, EOS
from kotrans.errors import UsageError
from kotrans.search.greedy import greedy_search
from kotrans.search.hypotheses import BackpointerTree, End, Hypothesis, length_limits, length_penalties
from kotrans.search.repetition_blocking import RepetitionBlocker
from kotrans.search.stepper import State, Stepper, keep_rows
from kotrans.search.topk import Floats, Ints, check_possible

# Shape key: B sentences, N rows alive, M nodes (hypotheses that go on or have just ended), k pieces of a row.
Booleans = npt.NDArray[np.bool_]


def search(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, n_best: int | Sequence[int] = 1
) -> list[list[Hypothesis]]:
    """The `n_best` translations of each sentence, best first: greedy if the beam is 1. See `beam_search`.

    n_best: one number for all sentences, or one for each.
    """
    _check_each(n_best, config.beam)
    if config.beam == 1:
        return [[hypothesis] for hypothesis in greedy_search(stepper, source, mask, config)]
    return beam_search(stepper, source, mask, config, n_best)


def beam_search(
    stepper: Stepper[State], source: Tensor, mask: Tensor, config: SearchConfig, n_best: int | Sequence[int] = 1
) -> list[list[Hypothesis]]:
    """The `n_best` translations of each sentence of source (B, S), mask (B, S), best first. See `BeamSearch`."""
    running = BeamSearch(stepper, config)
    running.add(source, mask, n_best=n_best)
    while running.goes_on:
        running.step()
    return [hypotheses for _, hypotheses in sorted(running.collect().items())]


class BeamSearch(Generic[State]):
    """The best hypotheses of each sentence, of those that its beam reached; others may join between steps.

    (Yu et al. 2022, "Orca", section 3, schedule a server's model by steps in this way.)
    Each sentence has as many places as its beam. A step fills them with the most probable continuations of its
    hypotheses, without those that `RepetitionBlocker` removes; one that ends in EOS keeps its place: a beam of 1 is
    greedy for every length penalty. A sentence is done when its places are all taken by ends, when nothing alive can
    still be better than the worst of its n best, or at its maximum length, where what is alive is cut.
    """

    def __init__(self, stepper: Stepper[State], config: SearchConfig) -> None:
        self._stepper = stepper
        self._config = config
        nobody = torch.zeros(0, 0, dtype=torch.bool)
        self._trellis = BackpointerTree(nobody, config)
        self._sentences = _Sentences(config)
        self._repetitions = RepetitionBlocker(0, config.max_repetitions)
        self._alive = np.zeros(0, np.int64)  # (N,) node of each row; the rows of a sentence lie together, best first
        self._previous = torch.zeros(0, dtype=torch.long)  # (N,)
        self._state: State | None = None
        self._device = torch.device("cpu")

    @property
    def goes_on(self) -> bool:
        """Whether a step is left to take."""
        return len(self._alive) > 0

    @torch.no_grad()
    def add(self, source: Tensor, mask: Tensor, *, n_best: int | Sequence[int] = 1, beam: int | None = None) -> range:
        """Sentences that join: source (B, S), mask (B, S) true on real pieces, which stand first. Gives their numbers.

        n_best: one number for all, or one for each. beam: the config's if left out. Raises UsageError if `n_best` is
        more than the beam.
        """
        beam = beam or self._config.beam
        _check_each(n_best, beam)
        self._device = source.device
        nodes = self._trellis.join(self._sentences.waiting, mask)
        started = self._stepper.start(source, mask)
        state = self._state if self.goes_on else None
        self._state = started if state is None else self._stepper.join(state, started)
        self._alive = np.concatenate([self._alive, nodes])
        self._repetitions.join(len(source))
        self._previous = torch.cat([self._previous, torch.full((len(source),), BOS)])
        return self._sentences.join(mask, n_best, beam)

    @torch.no_grad()
    def step(self) -> None:
        """Continues the hypotheses of all sentences by a piece. Raises ModelError if no piece has a probability."""
        assert self._state is not None
        trellis, alive, places = self._trellis, self._alive, self._sentences.places
        logits, state, weights = self._stepper.step(self._state, self._previous.to(self._device))  # (N, V), (N, S)
        choices = self._repetitions.most_probable(logits, int(places.max()))  # (N, k) each
        rows, tokens, chosen = _continue(*choices, trellis.owners[alive], trellis.totals[alive], places)
        trellis.grow(alive, rows, tokens, chosen, weights)
        self._alive = self._sentences.settle(trellis, tokens)
        rows, tokens = rows[self._alive], tokens[self._alive]
        self._repetitions.append(rows, tokens)
        self._state = keep_rows(self._stepper, state, torch.from_numpy(rows), len(logits))
        self._previous = torch.from_numpy(tokens)

    def collect(self) -> dict[int, list[Hypothesis]]:
        """The n best of each sentence that is done and was not collected before, best first, by its number."""
        return self._sentences.collect(self._trellis)

    @torch.no_grad()
    def drop(self, numbers: Collection[int]) -> None:
        """Ends the search of these sentences; they are never collected. The others go on as if nothing had been."""
        gone = self._sentences.drop(numbers)  # (B,)
        if not self.goes_on or not gone.any():
            return
        rows = (~gone[self._trellis.owners[self._alive]]).nonzero()[0]  # (M,) of N
        if len(rows) and self._state is not None:
            self._state = keep_rows(self._stepper, self._state, torch.from_numpy(rows), len(self._alive))
        self._alive = self._alive[rows]
        self._previous = self._previous[torch.from_numpy(rows)]
        self._repetitions.keep(rows)


def check_n_best(n_best: int, beam: int) -> None:
    """Raises UsageError unless a beam can give so many translations."""
    if n_best < 1:
        raise UsageError(f"n-best: {n_best} translations are asked for; ask for one at least")
    if n_best > beam:
        raise UsageError(
            f"n-best: {n_best} translations are asked for, but search.beam keeps {beam}; set it to {n_best}"
        )


def _check_each(n_best: int | Sequence[int], beam: int) -> None:
    for each in {n_best} if isinstance(n_best, int) else set(n_best):
        check_n_best(each, beam)


class _Sentences:
    """The places of the sentences (B) and the hypotheses that have ended."""

    def __init__(self, config: SearchConfig) -> None:
        self.places = np.zeros(0, np.int64)  # (B,) that are free; a sentence without one is done
        self._config = config
        self._begun = 0
        self._numbers = np.zeros(0, np.int64)  # (B,)
        self._n_best = np.zeros(0, np.int64)  # (B,)
        self._limits = np.zeros(0, np.int64)  # (B,)
        self._longest_penalties = np.zeros(0)  # (B,)
        self._to_beat = np.zeros(0)  # (B,) the n-th best score, once there are as many
        self._collected = np.zeros(0, bool)  # (B,)
        self._ends: list[list[End]] = []

    @property
    def waiting(self) -> Ints:
        """Those that were not collected."""
        return (~self._collected).nonzero()[0]

    def join(self, mask: Tensor, n_best: int | Sequence[int], beam: int) -> range:
        """Forgets those that were collected and takes others in behind the rest: mask (J, S). Gives their numbers."""
        kept, new = self.waiting, len(mask)
        numbers = range(self._begun, self._begun + new)
        self._begun += new
        limits = np.array(length_limits(mask, self._config), np.int64)  # (J,)
        self.places = np.append(self.places[kept], np.full(new, beam))
        self._numbers = np.append(self._numbers[kept], np.array(numbers, np.int64))
        self._n_best = np.append(self._n_best[kept], np.broadcast_to(np.array(n_best, np.int64), new))
        self._limits = np.append(self._limits[kept], limits)
        self._longest_penalties = length_penalties(self._limits, self._config.length_penalty)
        self._to_beat = np.append(self._to_beat[kept], np.full(new, -np.inf))
        self._ends = [self._ends[i] for i in kept] + [[] for _ in numbers]
        self._collected = np.zeros(len(self._ends), bool)
        return numbers

    def drop(self, numbers: Collection[int]) -> Booleans:
        """Which of the sentences (B,) have these numbers; they count as done and collected."""
        gone = np.isin(self._numbers, list(numbers))
        self.places[gone] = 0
        self._collected[gone] = True
        return gone

    def settle(self, trellis: BackpointerTree, tokens: Ints) -> Ints:
        """Notes the hypotheses that end with this step of tokens (M,); gives the nodes (N,) that go on.

        A sentence goes on if its most probable hypothesis alive can still become one of the n best. Log-probabilities
        and coverage penalties are at most 0, so the best it can do is to lose nothing more until the maximum length,
        where the normalisation is most lenient.
        """
        owners, lengths = trellis.owners, trellis.lengths  # (M,), (B,)
        ends = (tokens == EOS) | (self._limits[owners] == lengths[owners])  # (M,)
        if ends.any():
            self._note(ends.nonzero()[0], trellis, tokens)
        nodes = (~ends).nonzero()[0]  # (N,)
        of = owners[nodes]  # (N,)
        # The first node of a sentence is its most probable.
        best = trellis.totals[nodes[np.searchsorted(of, of)]]  # (N,)
        nodes = nodes[best / self._longest_penalties[of] > self._to_beat[of]]
        self.places[np.bincount(owners[nodes], minlength=len(self.places)) == 0] = 0
        return nodes

    def _note(self, nodes: Ints, trellis: BackpointerTree, tokens: Ints) -> None:
        scores, lengths = trellis.scores(), trellis.lengths  # (M,), (B,)
        for node in nodes.tolist():
            owner = int(trellis.owners[node])
            ends = self._ends[owner]
            ends.append(End(int(tokens[node]) != EOS, -float(scores[node]), int(lengths[owner]), node))
            self.places[owner] -= 1
            if len(ends) >= self._n_best[owner]:
                self._to_beat[owner] = -sorted(ends)[self._n_best[owner] - 1].negative_score

    def collect(self, trellis: BackpointerTree) -> dict[int, list[Hypothesis]]:
        """The n best of each sentence that is done and was not collected before, best first, by its number."""
        done = ((self.places == 0) & ~self._collected).nonzero()[0]  # (D,)
        self._collected[done] = True
        best = [sorted(self._ends[i])[: self._n_best[i]] for i in done]
        owners = [int(i) for i, ends in zip(done, best, strict=True) for _ in ends]
        hypotheses = iter(trellis.hypotheses(owners, [end for ends in best for end in ends]))
        numbers = self._numbers[done].tolist()
        return {number: [next(hypotheses) for _ in ends] for number, ends in zip(numbers, best, strict=True)}


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
