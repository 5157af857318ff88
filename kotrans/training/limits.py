"""What ends training, and how much of it is done."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from kotrans.config.schema import Config, TrainingConfig
from kotrans.runs.progress import Progress

Reason = Literal["max_updates", "max_epochs", "max_minutes", "patience", "signal"]


class Outcome(NamedTuple):
    """Why training ended, and its progress."""

    reason: Reason
    progress: Progress
    signal: int | None = None


def reached_limit(progress: Progress, config: Config) -> Reason | None:
    """The limit that ends training, if one is reached. A planned cooldown has its last update instead of a time."""
    training, patience = config.training, config.validation.patience
    planned, minutes = progress.cooldown, training.max_minutes
    if progress.update >= training.max_updates:
        return "max_updates"
    if training.max_epochs is not None and progress.epoch >= training.max_epochs:
        return "max_epochs"
    if progress.update >= planned.end if planned else minutes is not None and progress.minutes >= minutes:
        return "max_minutes"
    if patience is not None and progress.stale_validations >= patience:
        return "patience"
    return None


def share_done(progress: Progress, training: TrainingConfig, epoch_done: Callable[[], float]) -> float:
    """Share of the training that is done, by the limit that comes first; `epoch_done` gives that of the epoch."""
    if progress.cooldown is not None:
        return progress.cooldown.done(progress.update)
    shares = [progress.update / training.max_updates]
    if training.max_epochs:
        shares.append((progress.epoch + epoch_done()) / training.max_epochs)
    if training.max_minutes:
        shares.append(progress.minutes / training.max_minutes)
    return min(max(shares), 1.0)
