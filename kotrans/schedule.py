"""The learning rate as a function of the update: nothing to save, trivial to test."""

from kotrans.config.config import TrainingConfig


def learning_rate(update: int, config: TrainingConfig, factor: float = 1.0, done: float = 0.0) -> float:
    """The rate of an update, counted from 1: linear warm-up to the configured rate, then by schedule.

    inverse_sqrt: rate * sqrt(warmup / update) (Vaswani et al. 2017, section 5.3, with a peak of its own).
    factor is what the plateau schedule has made of the rate so far; the others take no notice of it.
    done is the share of the training that lies behind; in the last `cooldown` of it every rate falls on a line to 0
    (Haegele et al. 2024, arXiv 2405.18392, section 3).
    """
    cooling = min(1.0, (1 - done) / config.cooldown) if config.cooldown else 1.0
    return cooling * _scheduled(update, config, factor)


def _scheduled(update: int, config: TrainingConfig, factor: float) -> float:
    highest = config.learning_rate * (factor if config.schedule == "plateau" else 1.0)
    if update < config.warmup:
        return highest * update / config.warmup
    if config.schedule == "inverse_sqrt":
        return highest * float(max(config.warmup, 1) / update) ** 0.5
    return highest
