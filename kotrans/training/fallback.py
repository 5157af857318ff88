"""What can be gone back to when training fails: every error comes to name it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kotrans.errors import CheckpointError, TrainingError
from kotrans.runs.checkpoint_names import update_of
from kotrans.runs.run import Run
from kotrans.training.divergence import DivergenceCheck


class Fallback:
    """The last good checkpoint of a run, for messages.

    Rank 0 may have ended between its record of one and word of it to others, and the disk of another rank may have an
    older copy of the run, or none.
    """

    def __init__(self, run: Run, divergence: DivergenceCheck, *, has_disk: bool) -> None:
        """has_disk: whether the run's folder is surely here, as it is for rank 0."""
        self._run = run
        self._divergence = divergence
        self._has_disk = has_disk
        self.last: str | None = None
        """The last checkpoint that this rank knows of."""
        self.run_started = ""
        """Tells the run from another machine's of the same name."""

    @contextmanager
    def named(self, where: str) -> Iterator[None]:
        """Inside the block, an error comes to say where it happened and what can be gone back to."""
        try:
            yield
        except TrainingError as error:
            raise type(error)(f"{self._run.folder}: {where}: {error}; {self}") from None
        except CheckpointError as error:
            raise type(error)(f"{error}; {self}") from None

    def __str__(self) -> str:
        names = [name for name in self._known() if self._divergence.is_good(update_of(name))]
        if self._has_disk:
            names = [name for name in names if (self._run.checkpoints / name).exists()]
        return f"the last good checkpoint is {self._run.checkpoints / names[-1]}" if names else "there is no checkpoint"

    def _known(self) -> list[str]:
        """The last one last."""
        with suppress(CheckpointError):
            record = self._run.record()
            if record.started == self.run_started:
                known = {*record.kept, *([self.last] if self.last else [])}
                return sorted(known, key=lambda name: (update_of(name), name == record.last))
        return [self.last] if self.last else []
