"""Small steppers for tests of search, which must hold for any stepper and therefore use no network of kotrans."""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from kotrans.data.tokenizer import BOS, PAD, UNK
from kotrans.engine.stepper import Booleans, Floats, Ints, Weights

VOCABULARY = 7  # four special ids and three words
LOUD = 5  # source id of padding; not 0, so that a leak changes results
State = TypeVar("State")


class LogitsStepper(Generic[State]):
    """Base class: steps and scores by definition, from the logits of a subclass."""

    def logits(self, state: State, previous: Ints) -> tuple[Floats, State, Weights | None]:
        """Returns logits (N, V), the next state and attention weights (N, S) or None."""
        raise NotImplementedError

    def step(self, state: State, previous: Ints, k: int) -> tuple[Floats, Ints, State, Weights | None]:
        logits, after, weights = self.logits(state, previous)
        log_probs = log_softmax(logits)
        log_probs[:, [PAD, BOS, UNK]] = -np.inf
        pieces = np.argsort(-log_probs, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(log_probs, pieces, 1), pieces, after, weights

    def score(self, state: State, previous: Ints, given: Ints) -> tuple[Floats, State, Weights | None]:
        logits, after, weights = self.logits(state, previous)
        return np.take_along_axis(log_softmax(logits), given[:, None], 1)[:, 0], after, weights


class Recurrent(NamedTuple):
    hidden: Floats  # (N, H)
    memory: Floats  # (N, S, H)
    mask: Booleans  # (N, S)


class RecurrentStepper(LogitsStepper[Recurrent]):
    """A random recurrent model with attention in float64, whose distributions depend on the whole history.

    `calls` counts the rows of each step.
    """

    def __init__(self, seed: int, vocabulary: int = VOCABULARY, attention: bool = True, sharpness: float = 3.0) -> None:
        random, size = np.random.default_rng(seed), 5
        self.source, self.target = random.standard_normal((40, size)), random.standard_normal((vocabulary, size))
        self.recurrent = random.standard_normal((size, size))
        self.output = sharpness * random.standard_normal((size, vocabulary))
        self.attention = attention
        self.calls: list[int] = []

    def start(self, source: Ints, mask: Booleans) -> Recurrent:
        position = np.arange(source.shape[1], dtype=np.float64)[:, None]
        memory = self.source[source] * np.cos(position)
        return Recurrent(np.tanh((memory * mask[..., None]).sum(1)), memory, mask)

    def logits(self, state: Recurrent, previous: Ints) -> tuple[Floats, Recurrent, Weights | None]:
        self.calls.append(len(previous))
        scores = np.einsum("nh,nsh->ns", state.hidden, state.memory)
        weights = np.exp(log_softmax(np.where(state.mask, scores, -np.inf)))
        context = np.einsum("ns,nsh->nh", weights, state.memory)
        hidden = np.tanh(state.hidden @ self.recurrent + self.target[previous] + context)
        alpha: Any = weights if self.attention else None  # in float64, so that the tests are strict
        return hidden @ self.output, state._replace(hidden=hidden), alpha

    def select(self, state: Recurrent, rows: Ints) -> Recurrent:
        return Recurrent(state.hidden[rows], state.memory[rows], state.mask[rows])

    def join(self, state: Recurrent, started: Recurrent) -> Recurrent:
        width = max(state.mask.shape[1], started.mask.shape[1])

        def wide(part: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
            padding = [(0, 0), (0, width - part.shape[1])] + [(0, 0)] * (part.ndim - 2)
            return np.pad(part, padding, constant_values=fill)

        return Recurrent(
            np.concatenate([state.hidden, started.hidden]),
            np.concatenate([wide(each.memory, LOUD) for each in (state, started)]),
            np.concatenate([wide(each.mask, False) for each in (state, started)]),
        )


class TableStepper(LogitsStepper[int]):
    """Probabilities from a table (V, V) indexed by the previous piece, the same for every sentence; no attention."""

    def __init__(self, table: Floats) -> None:
        with np.errstate(divide="ignore"):
            self.log_probs = np.log(table)

    def start(self, source: Ints, mask: Booleans) -> int:
        return len(source)

    def logits(self, state: int, previous: Ints) -> tuple[Floats, int, Weights | None]:
        assert len(previous) == state
        return self.log_probs[previous], state, None

    def select(self, state: int, rows: Ints) -> int:
        return len(rows)

    def join(self, state: int, started: int) -> int:
        return state + started


def log_softmax(logits: Floats) -> Floats:
    """Returns the log-probabilities of logits (N, V)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted = logits - logits.max(1, keepdims=True)
        result: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def padded(sources: Sequence[Sequence[int]], width: int | None = None) -> tuple[Ints, Booleans]:
    """Returns source ids (B, S) and mask (B, S) of sentences of unequal length."""
    width = width or max(len(source) for source in sources)
    ids = np.full((len(sources), width), LOUD)
    mask = np.zeros((len(sources), width), bool)
    for row, source in enumerate(sources):
        ids[row, : len(source)] = source
        mask[row, : len(source)] = True
    return ids, mask
