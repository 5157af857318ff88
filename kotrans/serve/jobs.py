"""A request while it is translated."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from kotrans.serve.responses import LineResult
from kotrans.translation.postprocess import PreparedLine


@dataclass(eq=False)
class Job:
    """The lines of a request. Who cancels `done` takes back those that are not translated yet."""

    lines: Sequence[PreparedLine]
    beam: int
    n_best: int
    attention: int  # of so many of the best translations of each line the attention is answered
    done: Future[list[LineResult]] = field(default_factory=Future)
    number: int = field(default_factory=count().__next__)
    created: float = field(default_factory=time.monotonic)  # seconds, as are the next two
    started: float = 0.0
    ended: float = 0.0
    taken: int = 0  # lines that are being translated, or have been
    found: dict[int, LineResult] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """What is translated by itself; a blank line counts, too."""
        return sum(max(1, len(line.parts)) for line in self.lines)

    @property
    def cost(self) -> int:
        """What it adds to the work that waits."""
        return self.parts * self.beam

    def finish(self, place: int, found: LineResult) -> None:
        """Takes the translations of a line; the last one ends the job."""
        self.found[place] = found
        if len(self.found) == len(self.lines):
            self.ended = time.monotonic()
            with suppress(InvalidStateError):  # cancelled meanwhile
                self.done.set_result([self.found[place] for place in range(len(self.lines))])

    def fail(self, error: Exception) -> None:
        """Ends the job without a result."""
        with suppress(InvalidStateError):  # cancelled meanwhile, or another of its lines failed first
            self.done.set_exception(error)


class Line(NamedTuple):
    """A line of a job."""

    job: Job
    place: int  # in the job

    @property
    def prepared(self) -> PreparedLine:
        return self.job.lines[self.place]

    @property
    def parts(self) -> int:
        return max(1, len(self.prepared.parts))
