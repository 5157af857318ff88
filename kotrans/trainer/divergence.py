"""Training that has diverged: its weights are of no use, although every number may be finite."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from kotrans.checkpoint import TrainingState
from kotrans.errors import TrainingError

# A model that knows nothing and says so costs log V a piece; one that costs twice that is surely wrong.
_TIMES_A_GUESS = 2.0
PATIENCE = 100
"""Updates in a row with such a loss after which training ends."""
_REMEDY = "training has diverged: lower training.learning_rate or raise training.warmup"


class DivergenceCheck:
    """Looks at the loss of each update and of each validation."""

    def __init__(self, vocabulary: int, patience: int = PATIENCE) -> None:
        """vocabulary: number of target pieces."""
        self.began: int | None = None
        """The first of the updates in a row whose loss is far above that of a guess; None if the last one's is not."""
        self._guess = math.log(vocabulary)
        self._limit = _TIMES_A_GUESS * self._guess
        self._patience = patience

    def after_update(self, update: int, nll: float) -> None:
        """Takes the loss of a target piece. Raises TrainingError if it has been too high for too long."""
        if nll <= self._limit:
            self.began = None
            return
        self.began = update if self.began is None else self.began
        if update - self.began + 1 >= self._patience:
            raise TrainingError(
                f"the loss has been above {self._limit:.1f} for {self._patience} updates{self._compared}"
            )

    def is_good(self, update: int) -> bool:
        """Whether the checkpoint of an update is of a time before the loss got too high."""
        return self.began is None or update < self.began

    def after_validation(self, perplexity: float) -> None:
        """Raises TrainingError if the model is far worse than one that knows nothing."""
        if math.log(perplexity) > self._limit:
            raise TrainingError(f"the dev loss is {math.log(perplexity):.1f}{self._compared}")

    @property
    def _compared(self) -> str:
        return f" a piece, where a uniform guess has {self._guess:.1f}; {_REMEDY}"


def check_finite(state: TrainingState) -> None:
    """Raises TrainingError if a weight, an average or a moment is not finite: nothing could go on from there."""
    moments = (value for values in state.optimizer.state.values() for value in values.values())
    for tensors in (state.model.parameters(), (state.average or {}).values(), moments):
        if not _all_finite(tensors):
            raise TrainingError(f"the weights or the optimizer's moments are not finite; {_REMEDY}")


def _all_finite(tensors: Iterable[Tensor]) -> bool:
    found = [torch.isfinite(tensor).all() for tensor in tensors]
    return not found or bool(torch.stack([each.cpu() for each in found]).all())
