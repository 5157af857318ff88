"""Lines that come while others are being translated join the search that runs."""

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
from kotrans.translation.translator import BatchTranslator

_ROOM = 4  # parts that wait are started when one in so many of the rows is free
_MOST_ROWS = 2  # times the shared rows, if groups that have nothing running need them


class SearchRequest(NamedTuple):
    """A line to translate."""

    key: int
    """Comes back with what is answered."""
    prepared: PreparedLine
    beam: int
    n_best: int
    group: int = 0
    """Groups take turns: a line does not wait for all lines of another group."""


Answer = tuple[int, Translation]
"""The key of a line, and its translation."""


@dataclass(eq=False)
class _Line:
    """A line that is being translated."""

    asked: SearchRequest
    reserved: int  # bytes for its finished parts
    begun: bool = False
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by the place of the part in the line

    def pieces(self, place: int) -> int:
        """The source pieces of a part, EOS counted."""
        return len(self.asked.prepared.parts[place].ids) + 1


_Part = tuple[_Line, int]  # and its place in the line


class ContinuousTranslator:
    """A search that never has to end: lines are added between its steps, and each is answered when it is done.

    A batch takes as many steps as the longest of its translations; here a line takes its own, and the next one has its
    place. Parts of lines wait in a queue in which groups take turns. As many run as have `search.batch` times
    `search.beam` rows (hypotheses) together; a group that has no part running may take one more, up to twice as many
    rows. What runs and what is finished never takes more than `memory` bytes, whatever is asked. For one thread.
    """

    def __init__(self, translator: BatchTranslator, memory: int) -> None:
        self._translator = translator
        self._search = BeamSearch(translator.stepper, translator.config)
        self._memory = SearchMemory(memory, translator.tokenizer.target.size, translator.config)
        self._shared_rows = translator.config.batch * translator.config.beam
        self._queue: FairQueue[int, _Part] = FairQueue()
        self._running: dict[int, _Part] = {}  # by the search's number
        self._rows = 0  # of all parts that run
        self._longest = 0  # source pieces of a part that runs
        self._of_group: Counter[int] = Counter()  # parts that run
        self._reserved = 0  # bytes for finished parts of lines that have begun
        self._answers: list[Answer] = []  # of lines that need no search

    @property
    def parts(self) -> int:
        """Parts that wait or run."""
        return len(self._queue) + len(self._running)

    def add(self, asked: Sequence[SearchRequest]) -> None:
        """Lines that join. `SearchMemory.fits_alone` says whether a line can be translated at all."""
        for each in asked:
            parts = each.prepared.parts
            searched = max((self._searched(part, each) for part in parts), default=each.n_best)
            line = _Line(each, self._memory.finished([len(part.ids) + 1 for part in parts], searched))
            if parts:
                self._queue.push(each.group, [(line, place) for place in range(len(parts))])
            else:
                self._answers.append((each.key, self._translator.assembler.assemble(each.prepared, [], each.n_best)))
        self._start_parts()

    def drop(self, keys: Collection[int]) -> None:
        """Cancels lines, including their parts that are being searched."""
        unwanted = set(keys)
        numbers = {n for n, (line, _) in self._running.items() if line.asked.key in unwanted}
        self._search.drop(numbers)
        dropped = [self._running.pop(number) for number in numbers]
        for line, _ in dropped:
            self._ended(line)
        lines = {line for line, _ in dropped}
        for group in {*self._queue.groups}:
            lines |= {line for line, _ in self._queue.remove(group, lambda part: part[0].asked.key in unwanted)}
        self._reserved -= sum(line.reserved for line in lines if line.begun)

    def step(self, steps: int, interrupted: Callable[[], bool] = lambda: False) -> list[Answer]:
        """Takes so many steps, or as many as there are, and answers the lines that are done.

        interrupted: asked after each step; true ends the call. Raises ModelError if the model is damaged.
        """
        answers, self._answers = self._answers, []
        for _ in range(steps):
            if self._queue and _ROOM * (self._shared_rows - self._rows) >= self._shared_rows:
                self._start_parts()
            if not self._search.goes_on:
                break
            self._search.step()
            for number, hypotheses in self._search.collect().items():
                answers += self._finish(self._running.pop(number), hypotheses)
            if interrupted():
                break
        return answers

    def _finish(self, part: _Part, hypotheses: list[Hypothesis]) -> list[Answer]:
        """The answer of the part's line if it was the last."""
        line, place = part
        asked = line.asked
        self._ended(line)
        line.found[place] = hypotheses
        if len(line.found) < len(asked.prepared.parts):
            return []
        self._reserved -= line.reserved
        found = [line.found[place] for place in sorted(line.found)]
        return [(asked.key, self._translator.assembler.assemble(asked.prepared, found, asked.n_best))]

    def _ended(self, line: _Line) -> None:
        self._rows -= line.asked.beam
        self._of_group[line.asked.group] -= 1
        if not self._of_group[line.asked.group]:
            del self._of_group[line.asked.group]

    def _start_parts(self) -> None:
        """Lets parts that wait join the search, as many as there is room for."""
        self._longest = max((line.pieces(place) for line, place in self._running.values()), default=0)
        joining: list[_Part] = []
        while (part := self._queue.pop(lambda group, part: self._fits(part, len(joining)))) is not None:
            line, place = part
            joining.append(part)
            self._longest = max(self._longest, line.pieces(place))
            self._rows += line.asked.beam
            self._of_group[line.asked.group] += 1
            self._reserved += 0 if line.begun else line.reserved
            line.begun = True
        for beam, of_kind in groupby(sorted(joining, key=_beam), key=_beam):
            parts = list(of_kind)
            batch = self._translator.batch([line.asked.prepared.parts[place].ids for line, place in parts])
            searched = [self._searched(line.asked.prepared.parts[place], line.asked) for line, place in parts]
            self._running.update(zip(self._search.add(*batch, n_best=searched, beam=beam), parts, strict=True))

    def _searched(self, part: LinePart, asked: SearchRequest) -> int:
        return self._translator.assembler.searched(part, asked.n_best, asked.beam)

    def _fits(self, part: _Part, joining: int) -> bool:
        line, place = part
        rows, running = self._rows + line.asked.beam, len(self._running) + joining + 1
        if self._rows:  # a part that is alone always runs
            most = self._shared_rows if self._of_group[line.asked.group] else _MOST_ROWS * self._shared_rows
            if rows > most or not self._memory.fits_running(rows, running, max(self._longest, line.pieces(place))):
                return False
        # What has begun goes on; a line that is alone always begins.
        return line.begun or not self._reserved or self._memory.fits_finished(self._reserved + line.reserved)


def _beam(part: _Part) -> int:
    return part[0].asked.beam
