"""The learning rate as a function of the update: nothing to save, trivial to test."""

from kotrans.config.config import TrainingConfig


def learning_rate(update: int, config: TrainingConfig, factor: float = 1.0) -> float:
    """The rate of an update, counted from 1: linear warm-up to the configured rate, then by schedule.

    inverse_sqrt: rate * sqrt(warmup / update) (Vaswani et al. 2017, section 5.3, with a peak of its own).
    factor is what the plateau schedule has made of the rate so far; the others take no notice of it.
    """
    highest = config.learning_rate * (factor if config.schedule == "plateau" else 1.0)
    if update < config.warmup:
        return highest * update / config.warmup
    if config.schedule == "inverse_sqrt":
        return highest * float(max(config.warmup, 1) / update) ** 0.5
    return highest
