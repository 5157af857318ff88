"""Detection of diverged training, and the last good checkpoint that error messages name."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from kotrans.errors import CheckpointError, TrainingError
from kotrans.runs.checkpoint import TrainingState
from kotrans.runs.run import Run, update_of

PATIENCE = 100
"""Consecutive updates with too high a loss after which training ends."""
# Relative to a uniform guess over V target pieces, whose loss is log V per piece.
_LIMIT = 2.0
_REMEDY = "training has diverged: lower training.learning_rate or raise training.warmup"


class DivergedError(TrainingError):
    """The loss, the gradient or the weights show that training has diverged."""


class DivergenceCheck:
    """Checks the loss of each update and validation, and tells which checkpoints are good."""

    def __init__(self, vocabulary: int, patience: int = PATIENCE) -> None:
        """vocabulary: number of target pieces."""
        self._first_bad: int | None = None  # first of the latest consecutive updates with too high a loss
        self._validated: int | None = None  # last update that passed validation
        self._guess = math.log(vocabulary)
        self._limit = _LIMIT * self._guess
        self._patience = patience

    def after_update(self, update: int, nll: float) -> None:
        """Checks an update's loss per target piece. Raises DivergedError if it has been too high for too long."""
        if nll <= self._limit:
            self._first_bad = None
            return
        self._first_bad = update if self._first_bad is None else self._first_bad
        if update - self._first_bad + 1 >= self._patience:
            raise DivergedError(
                f"the loss per target piece has been above {self._limit:.1f} for {self._patience} updates "
                f"({self._reference}); {_REMEDY}"
            )

    def after_validation(self, update: int, perplexity: float) -> None:
        """Checks the perplexity. Raises DivergedError if the model is far worse than a uniform guess."""
        if math.log(perplexity) > self._limit:
            raise DivergedError(
                f"the dev loss per target piece is {math.log(perplexity):.1f} ({self._reference}); {_REMEDY}"
            )
        self._validated = update

    @contextmanager
    def recording(self, update: int) -> Iterator[None]:
        """Counts a DivergedError inside the block as too high a loss of this update."""
        try:
            yield
        except DivergedError:
            self._first_bad = update if self._first_bad is None else self._first_bad
            raise

    def is_good(self, update: int) -> bool:
        """Returns whether an update's checkpoint passed validation or is older than weights with too high a loss."""
        return self._first_bad is None or update < self._first_bad - 1 or update == self._validated

    @property
    def _reference(self) -> str:
        return f"a uniform guess has {self._guess:.1f}"


def check_finite(state: TrainingState) -> None:
    """Raises DivergedError if a weight, the moving average or a moment is not finite."""
    moments = (value for values in state.optimizer.state.values() for value in values.values())
    for tensors in (state.model.parameters(), (state.ema or {}).values(), moments):
        if not _all_finite(tensors):
            raise DivergedError(f"the weights or the optimizer's moments are not finite; {_REMEDY}")


def _all_finite(tensors: Iterable[Tensor]) -> bool:
    finite = [torch.isfinite(tensor).all() for tensor in tensors]
    return not finite or bool(torch.stack([each.cpu() for each in finite]).all())


class Fallback:
    """The last good checkpoint of a run, for error messages.

    Ranks may disagree: rank 0 may have ended between recording a checkpoint and telling the others, and the disk of
    another rank may hold an older copy of the run, or none.
    """

    def __init__(self, run: Run, divergence: DivergenceCheck, *, has_disk: bool) -> None:
        """has_disk: whether the run folder is certain to be on this machine, as it is for rank 0."""
        self._run = run
        self._divergence = divergence
        self._has_disk = has_disk
        self.last: str | None = None
        """The last checkpoint that this rank knows of."""
        self.run_started = ""
        """Start time of the run, to detect another run of the same name on this machine."""

    @contextmanager
    def errors_at(self, where: str) -> Iterator[None]:
        """Adds the place and the last good checkpoint to errors raised inside the block."""
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
        """Returns the names of checkpoints, the last one last."""
        with suppress(CheckpointError):
            record = self._run.record()
            if record.started == self.run_started:
                known = {*record.kept, *([self.last] if self.last else [])}
                return sorted(known, key=lambda name: (update_of(name), name == record.last))
        return [self.last] if self.last else []
