"""Continuous (in-flight) batching: lines join and leave a search while it runs."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from kotrans.parallel.fair_queue import FairQueue
from kotrans.search.beam import BeamSearch
from kotrans.search.hypotheses import Hypothesis
from kotrans.search.memory_bound import SearchMemory
from kotrans.translation.postprocess import LinePart, PreparedLine, Translation
from kotrans.translation.translator import Translator

_FREE_FRACTION = 4  # waiting parts are started when at least 1 / _FREE_FRACTION of the rows are free
_MOST_ROWS = 2  # times the shared rows, for groups that have nothing running


class SearchRequest(NamedTuple):
    """A line to translate."""

    key: int
    """Returned with the translation."""
    prepared: PreparedLine
    beam: int
    n_best: int
    group: int = 0
    """Groups take turns: a line does not wait for all lines of another group."""


Answer = tuple[int, Translation]
"""The key of a line and its translation."""


@dataclass(eq=False)
class _Line:
    """A line whose parts wait or run."""

    request: SearchRequest
    reserved: int  # bytes for its finished parts
    begun: bool = False
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by index of the part

    def pieces(self, index: int) -> int:
        """Number of source pieces of a part, EOS included."""
        return len(self.request.prepared.parts[index].ids) + 1


_Part = tuple[_Line, int]  # a line and the index of one of its parts


class ContinuousTranslator:
    """Translates lines that are added between the steps of one running search. Not thread-safe.

    A batch takes as many steps as its longest translation; here every line leaves when it is finished, and the next one
    takes its place. Parts of lines wait in a queue in which groups take turns. They share `search.batch` times
    `search.beam` rows (hypotheses); a group with no running part can start one more, up to twice as many rows. Running
    and finished parts never need more than `memory` bytes.
    """

    def __init__(self, translator: Translator, memory: int) -> None:
        self._translator = translator
        self._search = BeamSearch(translator.stepper, translator.config)
        self._memory = SearchMemory(memory, translator.tokenizer.target.size, translator.config)
        self._shared_rows = translator.config.batch * translator.config.beam
        self._queue: FairQueue[int, _Part] = FairQueue()
        self._running: dict[int, _Part] = {}  # by number of the search
        self._rows = 0  # of all running parts
        self._longest = 0  # source pieces of a running part
        self._running_of_group: Counter[int] = Counter()  # number of parts
        self._reserved = 0  # bytes for finished parts of lines that have begun
        self._answers: list[Answer] = []  # of lines without parts

    @property
    def parts(self) -> int:
        """Number of waiting and running parts."""
        return len(self._queue) + len(self._running)

    def add(self, requests: Sequence[SearchRequest]) -> None:
        """Queues lines. `SearchMemory.fits_alone` tells whether there is enough memory for a line at all."""
        for given in requests:
            request = given._replace(beam=given.prepared.beam(given.beam))
            parts = request.prepared.parts
            needed = max((self._hypotheses_needed(part, request) for part in parts), default=request.n_best)
            line = _Line(request, self._memory.finished([len(part.ids) + 1 for part in parts], needed))
            if parts:
                self._queue.push(request.group, [(line, index) for index in range(len(parts))])
            else:
                self._answers.append(self._answer(line))
        self._start_parts()

    def drop(self, keys: Collection[int]) -> None:
        """Cancels lines, including their running parts."""
        unwanted = set(keys)
        numbers = {n for n, (line, _) in self._running.items() if line.request.key in unwanted}
        self._search.drop(numbers)
        dropped = [self._running.pop(number) for number in numbers]
        for line, _ in dropped:
            self._release_rows(line)
        lines = {line for line, _ in dropped}
        for group in {*self._queue.groups}:
            lines |= {line for line, _ in self._queue.remove(group, lambda part: part[0].request.key in unwanted)}
        self._reserved -= sum(line.reserved for line in lines if line.begun)

    def step(self, steps: int, interrupted: Callable[[], bool] = lambda: False) -> list[Answer]:
        """Runs up to `steps` steps of the search and returns the finished lines.

        interrupted: called after each step; ends the call if true. Raises ModelError if the model is damaged.
        """
        answers, self._answers = self._answers, []
        for _ in range(steps):
            if self._queue and _FREE_FRACTION * (self._shared_rows - self._rows) >= self._shared_rows:
                self._start_parts()
            if not self._search.running:
                break
            self._search.step()
            for number, hypotheses in self._search.collect().items():
                line, index = self._running.pop(number)
                self._release_rows(line)
                line.found[index] = hypotheses
                if len(line.found) == len(line.request.prepared.parts):
                    self._reserved -= line.reserved
                    answers.append(self._answer(line))
            if interrupted():
                break
        return answers

    def _answer(self, line: _Line) -> Answer:
        request = line.request
        found = [line.found[index] for index in sorted(line.found)]
        return request.key, self._translator.postprocessor.assemble(request.prepared, found, request.n_best)

    def _release_rows(self, line: _Line) -> None:
        self._rows -= line.request.beam
        self._running_of_group[line.request.group] -= 1
        if not self._running_of_group[line.request.group]:
            del self._running_of_group[line.request.group]

    def _start_parts(self) -> None:
        """Starts as many waiting parts as fit."""
        self._longest = max((line.pieces(index) for line, index in self._running.values()), default=0)
        joining: list[_Part] = []
        while (part := self._queue.pop(lambda group, part: self._fits(part, len(joining)))) is not None:
            line, index = part
            joining.append(part)
            self._longest = max(self._longest, line.pieces(index))
            self._rows += line.request.beam
            self._running_of_group[line.request.group] += 1
            self._reserved += 0 if line.begun else line.reserved
            line.begun = True
        for beam, of_beam in groupby(sorted(joining, key=_beam), key=_beam):
            parts = list(of_beam)
            batch = self._translator.batch([line.request.prepared.parts[index].ids for line, index in parts])
            needed = [self._hypotheses_needed(line.request.prepared.parts[i], line.request) for line, i in parts]
            constraints = [line.request.prepared.parts[index].constraints for line, index in parts]
            numbers = self._search.add(*batch, n_best=needed, beam=beam, constraints=constraints)
            self._running.update(zip(numbers, parts, strict=True))

    def _hypotheses_needed(self, part: LinePart, request: SearchRequest) -> int:
        return self._translator.postprocessor.hypotheses_needed(part, request.n_best, request.beam)

    def _fits(self, part: _Part, joining: int) -> bool:
        line, index = part
        rows, running = self._rows + line.request.beam, len(self._running) + joining + 1
        if self._rows:  # a single part always runs
            most = self._shared_rows if self._running_of_group[line.request.group] else _MOST_ROWS * self._shared_rows
            if rows > most or not self._memory.fits_running(rows, running, max(self._longest, line.pieces(index))):
                return False
        # Lines that have begun are finished; a single line always begins.
        return line.begun or not self._reserved or self._memory.fits_finished(self._reserved + line.reserved)


def _beam(part: _Part) -> int:
    return part[0].request.beam
