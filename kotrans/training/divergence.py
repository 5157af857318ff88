"""Training that has diverged: its weights are of no use, although every number may be finite.

What can be gone back to when training fails: every error comes to name it.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from kotrans.errors import CheckpointError, TrainingError
from kotrans.runs.checkpoint import TrainingState
from kotrans.runs.run import Run, update_of

# A model that knows nothing and says so costs log V a piece; one that costs twice that is surely wrong.
_TIMES_A_GUESS = 2.0
PATIENCE = 100
"""Updates in a row with such a loss after which training ends."""
_REMEDY = "training has diverged: lower training.learning_rate or raise training.warmup"


class DivergedError(TrainingError):
    """The loss, the gradient or the weights show that training has diverged."""


class DivergenceCheck:
    """Looks at the loss of each update and of each validation, and knows which checkpoints are good."""

    def __init__(self, vocabulary: int, patience: int = PATIENCE) -> None:
        """vocabulary: number of target pieces."""
        # The first of the updates in a row whose loss is far above that of a guess; None if the last one's is not.
        self._began: int | None = None
        self._validated: int | None = None  # the last update whose validation found nothing wrong
        self._guess = math.log(vocabulary)
        self._limit = _TIMES_A_GUESS * self._guess
        self._patience = patience

    def after_update(self, update: int, nll: float) -> None:
        """Takes the loss of a target piece. Raises TrainingError if it has been too high for too long."""
        if nll <= self._limit:
            self._began = None
            return
        self._began = update if self._began is None else self._began
        if update - self._began + 1 >= self._patience:
            raise DivergedError(
                f"the loss has been above {self._limit:.1f} for {self._patience} updates{self._compared}"
            )

    def is_good(self, update: int) -> bool:
        """Whether the checkpoint of an update is good: validated, or older than the weights whose loss was too high."""
        return self._began is None or update < self._began - 1 or update == self._validated

    @contextmanager
    def watching(self, update: int) -> Iterator[None]:
        """Inside the block, a loss that is not finite counts as too high."""
        try:
            yield
        except DivergedError:
            self._began = update if self._began is None else self._began
            raise

    def after_validation(self, update: int, perplexity: float) -> None:
        """Raises TrainingError if the model is far worse than one that knows nothing."""
        if math.log(perplexity) > self._limit:
            raise DivergedError(f"the dev loss is {math.log(perplexity):.1f}{self._compared}")
        self._validated = update

    @property
    def _compared(self) -> str:
        return f" a piece, where a uniform guess has {self._guess:.1f}; {_REMEDY}"


def check_finite(state: TrainingState) -> None:
    """Raises TrainingError if a weight, an average or a moment is not finite: nothing could go on from there."""
    moments = (value for values in state.optimizer.state.values() for value in values.values())
    for tensors in (state.model.parameters(), (state.average or {}).values(), moments):
        if not _all_finite(tensors):
            raise DivergedError(f"the weights or the optimizer's moments are not finite; {_REMEDY}")


def _all_finite(tensors: Iterable[Tensor]) -> bool:
    found = [torch.isfinite(tensor).all() for tensor in tensors]
    return not found or bool(torch.stack([each.cpu() for each in found]).all())


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
