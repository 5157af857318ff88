"""The learning rate as a function of the update, and the plan that makes it one where the clock ends training."""

from dataclasses import dataclass

from kotrans.config.schema import TrainingConfig
from kotrans.storage.files import content_key


@dataclass(frozen=True)
class CooldownPlan:
    """The rest of a training that the clock ends, counted in updates.

    The rate of a cooldown depends on how much of the training is done. Were that measured by the clock at each update,
    no run could be repeated or resumed exactly. So it is measured once, and the plan is kept in the checkpoints.
    """

    update: int
    """Updates that were done when it was made."""
    share: float
    """Share of the training that was done then."""
    end: int
    """The last update."""
    limits: str
    """Hash of the settings that it was made for."""

    def done(self, update: int) -> float:
        """Share of the training that is done after an update: a line to 1 at the last one."""
        return min(1.0, self.share + (1 - self.share) * (update - self.update) / (self.end - self.update))


def plan_cooldown(update: int, share: float, config: TrainingConfig) -> CooldownPlan | None:
    """A plan for the rest, by the speed so far; None if the clock does not matter or the cooldown has not begun.

    share: how much of the training is done by the limit that comes first.
    """
    limit = config.max_minutes
    if limit is None or not config.cooldown or not update or share < 1 - config.cooldown or share >= 1:
        return None
    # The limit that will be reached first at the speed so far determines the share that is done.
    left = max(1, round(update * (1 - share) / share))
    return CooldownPlan(update, share, min(update + left, config.max_updates), limits_key(config))


def limits_key(config: TrainingConfig) -> str:
    """A hash of the settings that a plan depends on."""
    return content_key([config.max_updates, config.max_epochs, config.max_minutes, config.cooldown])


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
