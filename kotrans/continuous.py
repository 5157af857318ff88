"""Lines that come while others are being translated join the search that runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from kotrans.assembly import Prepared, Translation
from kotrans.errors import ModelError
from kotrans.search.beam import BeamSearch
from kotrans.search.trellis import Hypothesis
from kotrans.translate import BatchTranslator


class Asked(NamedTuple):
    """A line to translate."""

    key: int
    """Comes back with what is answered."""
    line: str
    beam: int
    n_best: int


Answer = tuple[int, Translation | ModelError]
"""The key of a line, and its translation or why the model refuses it."""


@dataclass(eq=False)
class _Line:
    """A line that is being translated."""

    asked: Asked
    prepared: Prepared
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by the place of the part in the line

    @property
    def kind(self) -> tuple[int, int]:
        """What a search has to know of those that are added to it together."""
        return self.asked.beam, self.asked.n_best


class ContinuousTranslator:
    """A search that never has to end: lines are added between its steps, and each is answered when it is done.

    A batch takes as many steps as the longest of its translations; here a line takes its own, and the next one has its
    place. For one thread.
    """

    def __init__(self, translator: BatchTranslator) -> None:
        self._translator = translator
        self._search = BeamSearch(translator.stepper, translator.config)
        self._parts: dict[int, tuple[_Line, int]] = {}  # by the search's number: whose part, and which
        self._answers: list[Answer] = []  # that take no step

    def add(self, asked: Sequence[Asked]) -> None:
        """Lines that join. Raises UsageError if more translations are asked for than a beam holds."""
        lines = [line for each in asked for line in self._prepared(each)]
        for (beam, n_best), of_kind in groupby(sorted(lines, key=lambda line: line.kind), key=lambda line: line.kind):
            parts = [(line, place) for line in of_kind for place in range(len(line.prepared.parts))]
            asked_for = [line.prepared.parts[place] for line, place in parts]
            batch = self._translator.batch([part.ids for part in asked_for])
            searched = [self._translator.assembler.searched(part, n_best, beam) for part in asked_for]
            self._parts.update(zip(self._search.add(*batch, n_best=searched, beam=beam), parts, strict=True))

    def step(self, steps: int) -> list[Answer]:
        """Takes so many steps, or as many as there are, and answers the lines that are done.

        Raises ModelError if the model is damaged.
        """
        for _ in range(steps):
            if self._search.goes_on:
                self._search.step()
        answers, self._answers = self._answers, []
        for number, hypotheses in self._search.collect().items():
            line, place = self._parts.pop(number)
            line.found[place] = hypotheses
            if len(line.found) == len(line.prepared.parts):
                found = [line.found[place] for place in sorted(line.found)]
                translation = self._translator.assembler.assemble(line.prepared, found, line.asked.n_best)
                answers.append((line.asked.key, translation))
        return answers

    def _prepared(self, asked: Asked) -> list[_Line]:
        """The line if the search has to be asked; a blank one, or one that the model refuses, is answered next."""
        try:
            (prepared,) = self._translator.prepare([asked.line])
        except ModelError as error:
            self._answers.append((asked.key, error))
            return []
        if not prepared.parts:
            self._answers.append((asked.key, self._translator.assembler.assemble(prepared, [], asked.n_best)))
            return []
        return [_Line(asked, prepared)]
