"""What a search needs of a model, and several models taken as one."""

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

# Shape key: B sentences, N rows alive, M rows selected, S source length, V target vocabulary.
State = TypeVar("State")


class Stepper(Protocol[State]):
    """A model that continues hypotheses by one piece. A row is one hypothesis of one sentence.

    Rows are independent: what a row gives never depends on which rows stand beside it.
    """

    def start(self, source: Tensor, mask: Tensor) -> State:
        """The state before the first piece: source (B, S), mask (B, S) true on real pieces; one row a sentence."""
        ...

    def step(self, state: State, previous: Tensor) -> tuple[Tensor, State, Tensor | None]:
        """Logits (N, V) after `previous` (N,), the new state, attention weights (N, S) or None.

        Logits are log-probabilities but for a number that a row's may all lack; `logsumexp` tells it. They are the
        caller's: they may be written into.
        """
        ...

    def select(self, state: State, rows: Tensor) -> State:
        """The state of the rows (M,), on the CPU, in that order; a row may occur several times or not at all."""
        ...

    def join(self, state: State, started: State) -> State:
        """The state of the rows of both: behind the others those of `started`, which took no step yet."""
        ...


class EnsembleStepper:
    """Several models with one vocabulary as one: the mean of their probabilities, and of their attention weights.

    Models without attention are left out of the mean of the weights.
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
    """The state of some of its `count` rows; nothing is copied when they are all of them in order."""
    if torch.equal(rows, torch.arange(count)):
        return state
    return stepper.select(state, rows)
