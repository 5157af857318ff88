"""What training reports, to whoever listens: the progress bar, the log, metrics.jsonl, TensorBoard."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Updated:
    """One update is done."""

    update: int
    epoch: int  # the first is 1
    loss: float  # a target piece, with label smoothing
    perplexity: float  # of the batch, without label smoothing
    target_tokens: int  # real ones, padding not counted
    seconds: float
    learning_rate: float
    gradient_norm: float  # before clipping
    share_done: float  # of the run, by the limit that comes first


@dataclass(frozen=True)
class Sample:
    """A dev sentence and what the model makes of it."""

    source: str
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class DevFigures:
    """What a validation found."""

    perplexity: float
    bleu: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Validated:
    """The dev split was measured."""

    update: int
    figures: DevFigures
    is_best: bool
    stale: int  # validations since the best
    seconds: float


@dataclass(frozen=True)
class Saved:
    """A checkpoint is in place."""

    update: int
    folder: Path


Event = Updated | Validated | Saved
Listener = Callable[[Event], None]
