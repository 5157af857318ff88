"""Beam search, batched over sentences and hypotheses."""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Generic

import numpy as np

from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import BOS, EOS
from kotrans.engine.stepper import Booleans, Floats, Ints, State, Stepper, check_possible, keep_rows
from kotrans.errors import UsageError
from kotrans.search.constraints import FREE, Constraints, Continuation, Progress, fill_slots
from kotrans.search.greedy import greedy_search
from kotrans.search.hypotheses import BackpointerTree, End, Hypothesis, length_limits, length_penalties
from kotrans.search.repetition_blocking import RepetitionBlocker
from kotrans.search.sampling import sample

# Shape key: B sentences, N rows alive, M nodes of a step (hypotheses that continue or have just ended), J sentences
# that join, D sentences that are done, S source positions, k pieces per row.


def search(
    stepper: Stepper[State], source: Ints, mask: Booleans, config: SearchConfig, n_best: int | Sequence[int] = 1,
    constraints: Sequence[Constraints] = (),
) -> list[list[Hypothesis]]:  # fmt: skip
    """Returns the `n_best` translations of each sentence of source (B, S), mask (B, S), best first.

    A beam of 1 is greedy search; with `search.sample` see `sample`. n_best: one number for all sentences, or one per
    sentence. constraints: of each sentence, or () if none has any. See `BeamSearch`.
    """
    if config.sample:
        return sample(stepper, source, mask, config, n_best)
    if any(each != FREE for each in constraints):
        return _constrained_search(stepper, source, mask, config, n_best, constraints)
    if config.beam == 1:
        for each in {n_best} if isinstance(n_best, int) else set(n_best):
            check_n_best(each, beam=1)
        return [[hypothesis] for hypothesis in greedy_search(stepper, source, mask, config)]
    beam = BeamSearch(stepper, config)
    beam.add(source, mask, n_best=n_best)
    while beam.running:
        beam.step()
    return [hypotheses for _, hypotheses in sorted(beam.collect().items())]


def _constrained_search(
    stepper: Stepper[State], source: Ints, mask: Booleans, config: SearchConfig, n_best: int | Sequence[int],
    constraints: Sequence[Constraints],
) -> list[list[Hypothesis]]:  # fmt: skip
    wanted = np.broadcast_to(np.array(n_best, np.int64), len(source))
    beam = BeamSearch(stepper, config)
    beams = np.array([each.beam(config.beam) for each in constraints], np.int64)  # (B,)
    order: list[int] = []
    for width in np.unique(beams).tolist():
        rows = (beams == width).nonzero()[0]
        of_rows = [constraints[row] for row in rows]
        beam.add(source[rows], mask[rows], n_best=wanted[rows].tolist(), beam=width, constraints=of_rows)
        order += rows.tolist()
    while beam.running:
        beam.step()
    found = beam.collect()
    return [found[number] for number in np.argsort(order).tolist()]


class BeamSearch(Generic[State]):
    """Beam search that sentences can join between steps (Yu et al. 2022, "Orca", section 3).

    A sentence has as many slots as its beam. Each step fills them with the most probable continuations of its
    hypotheses, except those that `RepetitionBlocker` removes. A hypothesis that ends in EOS keeps its slot, so that a
    beam of 1 is greedy for every length penalty. A hypothesis that lacks a constraint of its sentence does not end. A
    sentence is done when all slots hold ended hypotheses, when no
    hypothesis alive can become better than the worst of its n best, or at its maximum length, where hypotheses alive
    are cut.
    """

    def __init__(self, stepper: Stepper[State], config: SearchConfig) -> None:
        self._stepper = stepper
        self._config = config
        self._tree = BackpointerTree(np.zeros((0, 0), bool), config)
        self._sentences = _Sentences(config)
        self._repetitions = RepetitionBlocker(0, config.max_repetitions)
        self._alive = np.zeros(0, np.int64)  # (N,) node of each row; rows are sorted by sentence, then best first
        self._previous = np.zeros(0, np.int64)  # (N,)
        self._progress: list[Progress | None] = []  # (N,) None in sentences without constraints
        self._state: State | None = None

    @property
    def running(self) -> bool:
        """Whether there are steps left."""
        return len(self._alive) > 0

    def add(
        self, source: Ints, mask: Booleans, *, n_best: int | Sequence[int] = 1, beam: int | None = None,
        constraints: Sequence[Constraints] = (),
    ) -> range:  # fmt: skip
        """Adds sentences and returns their numbers: source (J, S), mask (J, S) true on real pieces, which come first.

        n_best: one number for all, or one per sentence. beam: default: that of the config. constraints: one per
        sentence, or () if none has any. Raises UsageError if `n_best` is larger than the beam.
        """
        beam = beam or self._config.beam
        for each in {n_best} if isinstance(n_best, int) else set(n_best):
            check_n_best(each, beam)
        nodes = self._tree.join(self._sentences.uncollected, mask)
        started = self._stepper.start(source, mask)
        state = self._state if self.running else None
        self._state = started if state is None else self._stepper.join(state, started)
        self._alive = np.concatenate([self._alive, nodes])
        self._repetitions.join(len(source))
        self._previous = np.concatenate([self._previous, np.full(len(source), BOS)])
        self._progress += [None if each == FREE else Progress(each) for each in constraints or [FREE] * len(source)]
        return self._sentences.join(mask, n_best, beam)

    def step(self) -> None:
        """Extends the hypotheses of all sentences by one piece. Raises ModelError if no piece has a probability."""
        assert self._state is not None
        tree, alive, slots = self._tree, self._alive, self._sentences.free_slots
        log_probs, pieces, state, weights = self._repetitions.step(
            self._stepper, self._state, self._previous, int(slots.max())
        )  # (N, k) each, and (N, S)
        progress = self._progress
        if any(progress):
            rows, tokens, chosen, progress = self._constrained(log_probs, pieces, slots)
        else:
            rows, tokens, chosen = _continuations(log_probs, pieces, tree.owners[alive], tree.totals[alive], slots)
            progress = [None] * len(rows)
        tree.grow(alive, rows, tokens, chosen, weights)
        incomplete = np.array([each is not None and not each.complete for each in progress], bool)
        self._alive = self._sentences.record_ends(tree, tokens, incomplete)
        rows, tokens = rows[self._alive], tokens[self._alive]
        self._progress = [progress[node] for node in self._alive]
        self._repetitions.append(rows, tokens)
        self._state = keep_rows(self._stepper, state, rows, len(log_probs))
        self._previous = tokens

    def _constrained(
        self, log_probs: Floats, pieces: Ints, slots: Ints
    ) -> tuple[Ints, Ints, Floats, list[Progress | None]]:
        """Returns `_continuations` where some sentences have constraints, and the progress of each continuation.

        log_probs and pieces (N, k), slots (B,).
        """
        owners, totals = self._tree.owners[self._alive], self._tree.totals[self._alive]  # (N,) each
        progress = self._progress
        free = slots.copy()
        free[[owner for owner, each in zip(owners, progress, strict=True) if each]] = 0
        rows, tokens, chosen = _continuations(log_probs, pieces, owners, totals, free)
        found: list[Continuation] = []
        for sentence, of_sentence in groupby(self._wanted(log_probs, pieces), key=lambda each: int(owners[each.row])):
            possible = list(of_sentence)
            check_possible(np.array([each.total for each in possible]).max(initial=-np.inf, keepdims=True))
            found += fill_slots(possible, int(slots[sentence]))
        rows = np.concatenate([rows, np.array([each.row for each in found], np.int64)])
        order = np.argsort(owners[rows], kind="stable")
        tokens = np.concatenate([tokens, np.array([each.piece for each in found], np.int64)])
        chosen = np.concatenate([chosen, np.array([each.log_prob for each in found])])
        after: list[Progress | None] = [*[None] * (len(rows) - len(found)), *(each.progress for each in found)]
        return rows[order], tokens[order], chosen[order], [after[i] for i in order]

    def _wanted(self, log_probs: Floats, pieces: Ints) -> list[Continuation]:
        """Returns the possible continuations of the rows with constraints, by row, each once.

        Those are the most probable ones of log_probs and pieces (N, k), and those with a piece of a constraint.
        """
        totals = self._tree.totals[self._alive]
        rows = [row for row, each in enumerate(self._progress) if each]
        scored: dict[tuple[int, int], float] = {}
        for row in rows:
            scored |= {(row, piece): p for piece, p in zip(pieces[row].tolist(), log_probs[row].tolist(), strict=True)}
        scored |= self._scored({row: each.wanted() for row, each in enumerate(self._progress) if each})
        return [
            Continuation(row, piece, log_prob, float(totals[row]) + log_prob, before.after(piece))
            for (row, piece), log_prob in sorted(scored.items())
            if (before := self._progress[row]) is not None and log_prob > -np.inf and before.permits(piece)
        ]

    def _scored(self, wanted: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], float]:
        """Returns the log-probabilities of the wanted pieces of rows, by row and piece."""
        assert self._state is not None
        pairs = [(row, piece) for row, of_row in wanted.items() for piece in of_row]
        if not pairs:
            return {}
        rows, given = np.array(pairs, np.int64).T
        state = self._stepper.select(self._state, rows)
        log_probs, _, _ = self._stepper.score(state, self._previous[rows], given)
        return dict(zip(pairs, log_probs.tolist(), strict=True))

    def collect(self) -> dict[int, list[Hypothesis]]:
        """Returns, by number, the n best of each sentence that is done and not collected yet, best first."""
        return self._sentences.collect(self._tree)

    def drop(self, numbers: Collection[int]) -> None:
        """Removes sentences; `collect` never returns them. The results of the others do not change."""
        dropped = self._sentences.drop(numbers)  # (B,)
        if not self.running or not dropped.any():
            return
        rows = (~dropped[self._tree.owners[self._alive]]).nonzero()[0]  # (M,) of N
        if len(rows) and self._state is not None:
            self._state = keep_rows(self._stepper, self._state, rows, len(self._alive))
        self._alive = self._alive[rows]
        self._previous = self._previous[rows]
        self._progress = [self._progress[row] for row in rows]
        self._repetitions.keep(rows)


def check_n_best(n_best: int, beam: int) -> None:
    """Raises UsageError unless n_best is between 1 and the beam."""
    if n_best < 1:
        raise UsageError(f"n-best: {n_best} translations were requested; request at least 1")
    if n_best > beam:
        raise UsageError(
            f"n-best: {n_best} translations were requested, but search.beam keeps {beam}; set it to {n_best}"
        )


class _Sentences:
    """The slots of the sentences (B) and their hypotheses that have ended."""

    def __init__(self, config: SearchConfig) -> None:
        self.free_slots = np.zeros(0, np.int64)  # (B,) slots for hypotheses alive; a sentence without any is done
        self._config = config
        self._next_number = 0
        self._numbers = np.zeros(0, np.int64)  # (B,)
        self._n_best = np.zeros(0, np.int64)  # (B,)
        self._limits = np.zeros(0, np.int64)  # (B,) maximum lengths
        self._longest_penalties = np.zeros(0)  # (B,)
        self._to_beat = np.zeros(0)  # (B,) the n-th best score; -inf while there are fewer
        self._collected = np.zeros(0, bool)  # (B,)
        self._ends: list[list[End]] = []

    @property
    def uncollected(self) -> Ints:
        """The sentences that were not collected."""
        return (~self._collected).nonzero()[0]

    def join(self, mask: Booleans, n_best: int | Sequence[int], beam: int) -> range:
        """Removes collected sentences, appends those of mask (J, S), and returns the numbers of the new ones."""
        kept, new = self.uncollected, len(mask)
        numbers = range(self._next_number, self._next_number + new)
        self._next_number += new
        limits = np.array(length_limits(mask, self._config), np.int64)  # (J,)
        self.free_slots = np.append(self.free_slots[kept], np.full(new, beam))
        self._numbers = np.append(self._numbers[kept], np.array(numbers, np.int64))
        self._n_best = np.append(self._n_best[kept], np.broadcast_to(np.array(n_best, np.int64), new))
        self._limits = np.append(self._limits[kept], limits)
        self._longest_penalties = length_penalties(self._limits, self._config.length_penalty)
        self._to_beat = np.append(self._to_beat[kept], np.full(new, -np.inf))
        self._ends = [self._ends[i] for i in kept] + [[] for _ in numbers]
        self._collected = np.zeros(len(self._ends), bool)
        return numbers

    def drop(self, numbers: Collection[int]) -> Booleans:
        """Marks the sentences with these numbers as done and collected; returns which of (B,) they are."""
        dropped = np.isin(self._numbers, list(numbers))
        self.free_slots[dropped] = 0
        self._collected[dropped] = True
        return dropped

    def record_ends(self, tree: BackpointerTree, tokens: Ints, incomplete: Booleans) -> Ints:
        """Records the hypotheses that end with this step of tokens (M,); returns the nodes (N,) that continue.

        incomplete (M,) is true for hypotheses that lack a constraint.

        A sentence continues if its most probable hypothesis alive can still become one of the n best. Log-probabilities
        and coverage penalties are at most 0, so its score is bounded by its log-probability divided by the length
        penalty of the maximum length.
        """
        owners, lengths = tree.owners, tree.lengths  # (M,), (B,)
        ends = (tokens == EOS) | (self._limits[owners] == lengths[owners])  # (M,)
        if ends.any():
            self._record(ends.nonzero()[0], tree, tokens, incomplete)
        nodes = (~ends).nonzero()[0]  # (N,)
        of = owners[nodes]  # (N,)
        # The first node of a sentence is its most probable.
        best = tree.totals[nodes[np.searchsorted(of, of)]]  # (N,)
        nodes = nodes[best / self._longest_penalties[of] > self._to_beat[of]]
        self.free_slots[np.bincount(owners[nodes], minlength=len(self.free_slots)) == 0] = 0
        return nodes

    def _record(self, nodes: Ints, tree: BackpointerTree, tokens: Ints, incomplete: Booleans) -> None:
        scores, lengths = tree.scores(), tree.lengths  # (M,), (B,)
        for node in nodes.tolist():
            owner = int(tree.owners[node])
            ends = self._ends[owner]
            cut, lacking = int(tokens[node]) != EOS, bool(incomplete[node])
            ends.append(End(cut, lacking, -float(scores[node]), int(lengths[owner]), node))
            self.free_slots[owner] -= 1
            if len(ends) >= self._n_best[owner]:
                self._to_beat[owner] = -sorted(ends)[self._n_best[owner] - 1].negative_score

    def collect(self, tree: BackpointerTree) -> dict[int, list[Hypothesis]]:
        """Implements `BeamSearch.collect`."""
        done = ((self.free_slots == 0) & ~self._collected).nonzero()[0]  # (D,)
        self._collected[done] = True
        best = [sorted(self._ends[i])[: self._n_best[i]] for i in done]
        owners = [int(i) for i, ends in zip(done, best, strict=True) for _ in ends]
        hypotheses = iter(tree.hypotheses(owners, [end for ends in best for end in ends]))
        numbers = self._numbers[done].tolist()
        return {number: [next(hypotheses) for _ in ends] for number, ends in zip(numbers, best, strict=True)}


def _continuations(
    log_probs: Floats, pieces: Ints, owners: Ints, totals: Floats, slots: Ints
) -> tuple[Ints, Ints, Floats]:
    """Returns the most probable continuations for the free slots: row, piece and log-probability (M,) of each.

    log_probs and pieces (N, k) of each row's best, owners (N,) and totals (N,) of the rows, slots (B,). The result is
    sorted by sentence, then best first; of equal ones, that of the better parent, then the smaller id comes first.
    """
    k = log_probs.shape[1]
    counts = np.bincount(owners, minlength=len(slots))  # (B,) rows of each sentence
    first = counts.cumsum() - counts  # (B,) first row of each sentence
    grid = np.full((len(slots), int(counts.max()), k), -np.inf)  # (B, rows, k)
    grid[owners, np.arange(len(owners)) - first[owners]] = totals[:, None] + log_probs
    sums = grid.reshape(len(slots), -1)  # (B, rows * k)
    check_possible(sums.max(1)[counts > 0])
    order = np.argsort(-sums, axis=1, kind="stable")[:, : slots.max()]  # (B, width)
    possible = np.take_along_axis(sums, order, 1) > -np.inf  # (B, width)
    taken = (np.arange(order.shape[1]) < slots[:, None]) & possible  # (B, width)
    row = (first[:, None] + order // k)[taken]  # (M,)
    choice = (order % k)[taken]  # (M,)
    return row, pieces[row, choice], log_probs[row, choice]
