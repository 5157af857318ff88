"""What ends training, and how much of it is done.

Which validation is the best so far, and what follows from it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

from kotrans.config.schema import Config, TrainingConfig
from kotrans.runs.progress import Progress
from kotrans.storage.files import content_key
from kotrans.training.events import DevFigures

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


def measured_with(config: Config) -> str:
    """A hash of the settings that dev figures depend on: only figures with the same one can be compared."""
    search = config.search.model_dump(exclude={"batch"})
    return content_key([config.validation.sentences, config.validation.beam, search])


def after_validation(progress: Progress, figures: DevFigures, config: Config) -> Progress:
    """The progress with the figures of its update taken in."""
    best = _is_best(progress, figures, config)
    progress = replace(progress, validation_due=False, stale_validations=0 if best else progress.stale_validations + 1)
    if best:
        progress = with_best(replace(progress, best_update=progress.update), figures, config)
    return _plateau(progress, config, best=best)


def with_best(progress: Progress, figures: DevFigures, config: Config) -> Progress:
    """The progress with these figures of its best update, which were measured with this config."""
    return replace(
        progress, best_bleu=figures.bleu, best_perplexity=figures.perplexity, best_measured=measured_with(config)
    )


def without_best(progress: Progress) -> Progress:
    """The progress without a best update: the next one is the best."""
    return replace(progress, best_update=None, best_bleu=None, best_perplexity=None, best_measured=None)


def is_outdated(progress: Progress, config: Config) -> bool:
    """Whether the best was measured with other settings; False in checkpoints of versions that did not remember."""
    return progress.best_update is not None and progress.best_measured not in (None, measured_with(config))


def _is_best(progress: Progress, figures: DevFigures, config: Config) -> bool:
    """Better than the best so far, by the metric that the config names now: a resume may have changed it."""
    if progress.best_bleu is None or progress.best_perplexity is None:
        return True
    if config.validation.metric == "bleu":
        return figures.bleu > progress.best_bleu
    return figures.perplexity < progress.best_perplexity


def _plateau(progress: Progress, config: Config, *, best: bool) -> Progress:
    """Lowers the learning rate after enough validations without a new best, if the schedule is `plateau`."""
    training = config.training
    stale = 0 if best else progress.stale_at_rate + 1
    if training.schedule == "plateau" and stale > training.plateau_patience:
        return replace(progress, stale_at_rate=0, rate_factor=progress.rate_factor * training.plateau_factor)
    return replace(progress, stale_at_rate=stale)
