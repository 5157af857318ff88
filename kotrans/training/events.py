"""Events that training reports to its listeners: the progress display, metrics.jsonl and TensorBoard."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Updated:
    """An update was made."""

    update: int
    epoch: int  # counted from 1
    loss: float  # mean per target piece, with label smoothing
    perplexity: float  # of the batch, without label smoothing
    target_tokens: int  # target pieces without padding
    seconds: float
    learning_rate: float
    gradient_norm: float  # before clipping
    share_done: float  # share of the training that is done, by the limit that comes first


@dataclass(frozen=True)
class Sample:
    """A dev sentence and its translation by the model."""

    source: str
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class DevFigures:
    """Results of a validation."""

    perplexity: float
    bleu: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Validated:
    """The model was measured on the dev split."""

    update: int
    figures: DevFigures
    is_best: bool
    stale: int  # validations without improvement
    seconds: float


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    update: int
    folder: Path


Event = Updated | Validated | Saved
Listener = Callable[[Event], None]
