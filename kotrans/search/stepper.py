"""The protocol that search requires of a model, and an ensemble of models that implements it."""

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

# Shape key: B sentences, N rows alive, M rows selected, S source positions, V target pieces.
State = TypeVar("State")


class Stepper(Protocol[State]):
    """A model that extends hypotheses by one piece. A row is one hypothesis of one sentence.

    The results of a row never depend on the other rows.
    """

    def start(self, source: Tensor, mask: Tensor) -> State:
        """Returns the state before the first piece, one row per sentence.

        source (B, S), mask (B, S) true on real pieces.
        """
        ...

    def step(self, state: State, previous: Tensor) -> tuple[Tensor, State, Tensor | None]:
        """Returns logits (N, V) after the pieces previous (N,), the next state, attention weights (N, S) or None.

        The caller may modify the logits in place.
        """
        ...

    def select(self, state: State, rows: Tensor) -> State:
        """Returns the state of `rows` (M,), a tensor on the CPU, in that order; rows may repeat or be missing."""
        ...

    def join(self, state: State, started: State) -> State:
        """Returns the state of the rows of both, those of `started`, a result of `start`, last."""
        ...


class EnsembleStepper:
    """Several models with one vocabulary: the mean of their probabilities and of their attention weights.

    The mean of the attention weights is over the models with attention.
    """

    def __init__(self, steppers: Sequence[Stepper[Any]]) -> None:
        self.steppers = tuple(steppers)

    def start(self, source: Tensor, mask: Tensor) -> list[Any]:
        return [stepper.start(source, mask) for stepper in self.steppers]

    def step(self, state: list[Any], previous: Tensor) -> tuple[Tensor, list[Any], Tensor | None]:
        outputs = [stepper.step(part, previous) for stepper, part in zip(self.steppers, state, strict=True)]
        log_probs = torch.stack([output[0].log_softmax(1) for output in outputs])  # (models, N, V)
        weights = [output[2] for output in outputs if output[2] is not None]
        return (
            log_probs.logsumexp(0) - math.log(len(outputs)),  # (N, V)
            [output[1] for output in outputs],
            torch.stack(weights).mean(0) if weights else None,  # (N, S)
        )

    def select(self, state: list[Any], rows: Tensor) -> list[Any]:
        return [stepper.select(part, rows) for stepper, part in zip(self.steppers, state, strict=True)]

    def join(self, state: list[Any], started: list[Any]) -> list[Any]:
        return [stepper.join(*parts) for stepper, *parts in zip(self.steppers, state, started, strict=True)]


def keep_rows(stepper: Stepper[State], state: State, rows: Tensor, count: int) -> State:
    """Returns `stepper.select` of `rows`, or the state itself if they are all its `count` rows in order."""
    if torch.equal(rows, torch.arange(count)):
        return state
    return stepper.select(state, rows)
