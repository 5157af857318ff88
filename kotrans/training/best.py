"""Which validation is the best so far, and what follows from it."""

from dataclasses import replace

from kotrans.config.schema import Config
from kotrans.runs.progress import Progress
from kotrans.storage.files import content_key
from kotrans.training.events import DevFigures


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
