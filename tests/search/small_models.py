"""Small steppers for tests of search, which must hold for any stepper and therefore use no network of kotrans."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

VOCABULARY = 7  # four special ids and three words
LOUD = 5  # source id of padding; not 0, so that a leak changes results


class Recurrent(NamedTuple):
    hidden: Tensor  # (N, H)
    memory: Tensor  # (N, S, H)
    mask: Tensor  # (N, S)


class RecurrentStepper:
    """A random recurrent model with attention in float64, whose distributions depend on the whole history.

    `calls` counts the rows of each step.
    """

    def __init__(self, seed: int, vocabulary: int = VOCABULARY, attention: bool = True, sharpness: float = 3.0) -> None:
        random = torch.Generator().manual_seed(seed)
        size = 5

        def matrix(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64)

        self.source, self.target = matrix(40, size), matrix(vocabulary, size)
        self.recurrent, self.output = matrix(size, size), sharpness * matrix(size, vocabulary)
        self.attention = attention
        self.calls: list[int] = []

    def start(self, source: Tensor, mask: Tensor) -> Recurrent:
        position = torch.arange(source.size(1), dtype=torch.float64).view(1, -1, 1)
        memory = self.source[source] * torch.cos(position)
        hidden = torch.tanh((memory * mask.unsqueeze(2)).sum(1))
        return Recurrent(hidden, memory, mask)

    def step(self, state: Recurrent, previous: Tensor) -> tuple[Tensor, Recurrent, Tensor | None]:
        self.calls.append(len(previous))
        scores = torch.einsum("nh,nsh->ns", state.hidden, state.memory)
        weights = scores.masked_fill(~state.mask, -torch.inf).softmax(1)
        context = torch.einsum("ns,nsh->nh", weights, state.memory)
        hidden = torch.tanh(state.hidden @ self.recurrent + self.target[previous] + context)
        return hidden @ self.output, state._replace(hidden=hidden), weights if self.attention else None

    def select(self, state: Recurrent, rows: Tensor) -> Recurrent:
        return Recurrent(*(part[rows] for part in state))

    def join(self, state: Recurrent, started: Recurrent) -> Recurrent:
        width = max(state.mask.size(1), started.mask.size(1))

        def wide(part: Tensor) -> Tensor:
            return torch.cat([part, part.new_full((len(part), width - part.size(1), *part.shape[2:]), LOUD)], 1)

        masks = [torch.nn.functional.pad(each.mask, (0, width - each.mask.size(1))) for each in (state, started)]
        memories = [wide(each.memory) for each in (state, started)]
        return Recurrent(torch.cat([state.hidden, started.hidden]), torch.cat(memories), torch.cat(masks))


class TableStepper:
    """Probabilities from a table (V, V) indexed by the previous piece, the same for every sentence; no attention."""

    def __init__(self, table: Tensor) -> None:
        self.log_probs = table.log()

    def start(self, source: Tensor, mask: Tensor) -> int:
        return len(source)

    def step(self, state: int, previous: Tensor) -> tuple[Tensor, int, Tensor | None]:
        assert len(previous) == state
        return self.log_probs[previous], state, None

    def select(self, state: int, rows: Tensor) -> int:
        return len(rows)

    def join(self, state: int, started: int) -> int:
        return state + started


def padded(sources: Sequence[Sequence[int]], width: int | None = None) -> tuple[Tensor, Tensor]:
    """Returns source ids (B, S) and mask (B, S) of sentences of unequal length."""
    width = width or max(len(source) for source in sources)
    ids = torch.full((len(sources), width), LOUD)
    mask = torch.zeros(len(sources), width, dtype=torch.bool)
    for row, source in enumerate(sources):
        ids[row, : len(source)] = torch.tensor(source)
        mask[row, : len(source)] = True
    return ids, mask
