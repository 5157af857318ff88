"""Lines that come while others are being translated join the search that runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar

from kotrans.search.beam import BeamSearch
from kotrans.search.trellis import Hypothesis
from kotrans.translate import BatchTranslator, Prepared, Translation

Key = TypeVar("Key")


@dataclass(eq=False)
class Asked(Generic[Key]):
    """A line to translate. `key` is whatever tells who asked; it comes back with the translation."""

    key: Key
    prepared: Prepared
    beam: int
    n_best: int
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by the place of the part in the line

    @property
    def kind(self) -> tuple[int, int]:
        """What a search has to know of those that are added to it together."""
        return self.beam, self.n_best


class ContinuousTranslator(Generic[Key]):
    """A search that never has to end: lines are added between its steps, and each is given back when it is done.

    A batch takes as many steps as the longest of its translations; here a line takes its own, and the next one has its
    place. For one thread.
    """

    def __init__(self, translator: BatchTranslator) -> None:
        self._translator = translator
        self._search = BeamSearch(translator.stepper, translator.config)
        self._parts: dict[int, tuple[Asked[Key], int]] = {}  # by the search's number: whose part, and which
        self._blank: list[Asked[Key]] = []

    def add(self, asked: Sequence[Asked[Key]]) -> None:
        """Lines that join. Raises UsageError if more translations are asked for than a beam holds."""
        self._blank += [line for line in asked if not line.prepared.parts]
        lines = sorted((line for line in asked if line.prepared.parts), key=lambda line: line.kind)
        for (beam, n_best), together in groupby(lines, key=lambda line: line.kind):
            parts = [(line, place) for line in together for place in range(len(line.prepared.parts))]
            batch = self._translator.batch([line.prepared.parts[place].ids for line, place in parts])
            self._parts.update(zip(self._search.add(*batch, n_best=n_best, beam=beam), parts, strict=True))

    def step(self, steps: int) -> list[tuple[Key, Translation]]:
        """Takes so many steps, or as many as there are, and gives the lines that are done. Raises ModelError."""
        for _ in range(steps):
            if self._search.goes_on:
                self._search.step()
        done, self._blank = self._blank, []
        for number, hypotheses in self._search.collect().items():
            line, place = self._parts.pop(number)
            line.found[place] = hypotheses
            if len(line.found) == len(line.prepared.parts):
                done.append(line)
        return [(line.key, self._translation(line)) for line in done]

    def _translation(self, line: Asked[Key]) -> Translation:
        return self._translator.put_together(line.prepared, [line.found[place] for place in sorted(line.found)])
