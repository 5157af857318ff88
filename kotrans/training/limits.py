"""When training ends, how much of it is done, and which validation is the best."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

from kotrans.config.schema import Config, TrainingConfig
from kotrans.runs.progress import Progress
from kotrans.storage.files import content_key
from kotrans.training.events import DevFigures

Reason = Literal["max_updates", "max_epochs", "max_minutes", "patience", "signal"]


class Outcome(NamedTuple):
    """Why training ended, and its final progress."""

    reason: Reason
    progress: Progress
    signal: int | None = None


def reached_limit(progress: Progress, config: Config) -> Reason | None:
    """Returns the limit that ends training, if any; with a planned cooldown, its last update replaces max_minutes."""
    training, patience = config.training, config.validation.patience
    plan, minutes = progress.cooldown, training.max_minutes
    if progress.update >= training.max_updates:
        return "max_updates"
    if training.max_epochs is not None and progress.position.epoch >= training.max_epochs:
        return "max_epochs"
    if progress.update >= plan.end if plan else minutes is not None and progress.minutes >= minutes:
        return "max_minutes"
    if patience is not None and progress.stale_validations >= patience:
        return "patience"
    return None


def share_done(progress: Progress, training: TrainingConfig, epoch_done: Callable[[], float]) -> float:
    """Returns the share of the training that is done, by the limit that comes first.

    epoch_done: returns the share of the current epoch that is done.
    """
    if progress.cooldown is not None:
        return progress.cooldown.done(progress.update)
    shares = [progress.update / training.max_updates]
    if training.max_epochs:
        shares.append((progress.position.epoch + epoch_done()) / training.max_epochs)
    if training.max_minutes:
        shares.append(progress.minutes / training.max_minutes)
    return min(max(shares), 1.0)


def validation_key(config: Config) -> str:
    """Returns a hash of the settings that dev figures depend on; only figures with the same key are comparable."""
    search = config.search.model_dump(exclude={"batch"})
    return content_key([config.validation.sentences, config.validation.beam, search])


def after_validation(progress: Progress, figures: DevFigures, config: Config) -> Progress:
    """Returns the progress updated with the results of its validation."""
    best = _is_best(progress, figures, config)
    progress = replace(progress, validation_due=False, stale_validations=0 if best else progress.stale_validations + 1)
    if best:
        progress = with_best(replace(progress, best_update=progress.update), figures, config)
    return _plateau(progress, config, best=best)


def with_best(progress: Progress, figures: DevFigures, config: Config) -> Progress:
    """Returns the progress with these figures, measured with this config, for its best update."""
    return replace(
        progress, best_bleu=figures.bleu, best_perplexity=figures.perplexity, best_measured=validation_key(config)
    )


def without_best(progress: Progress) -> Progress:
    """Returns the progress without a best update, so that the next validation becomes the best."""
    return replace(progress, best_update=None, best_bleu=None, best_perplexity=None, best_measured=None)


def is_best_outdated(progress: Progress, config: Config) -> bool:
    """Returns whether the best was measured with other settings; False if an older checkpoint did not record them."""
    return progress.best_update is not None and progress.best_measured not in (None, validation_key(config))


def _is_best(progress: Progress, figures: DevFigures, config: Config) -> bool:
    """Compares by the metric of the current config, which may have changed on resume."""
    if progress.best_bleu is None or progress.best_perplexity is None:
        return True
    if config.validation.metric == "bleu":
        return figures.bleu > progress.best_bleu
    return figures.perplexity < progress.best_perplexity


def _plateau(progress: Progress, config: Config, *, best: bool) -> Progress:
    """Lowers the rate factor after `plateau_patience` validations without improvement."""
    training = config.training
    stale = 0 if best else progress.stale_at_rate + 1
    if training.schedule == "plateau" and stale > training.plateau_patience:
        return replace(progress, stale_at_rate=0, rate_factor=progress.rate_factor * training.plateau_factor)
    return replace(progress, stale_at_rate=stale)
