"""The learning rate as a function of the update, and the cooldown plan that makes it one under a time limit."""

from dataclasses import dataclass

from kotrans.config.schema import TrainingConfig
from kotrans.storage.files import content_key


@dataclass(frozen=True)
class CooldownPlan:
    """The end of a training with a time limit, planned in updates.

    The rate during cooldown depends on the share of training that is done. If the clock determined it at each update,
    no run could be repeated or resumed exactly, so it is measured once and the plan is stored in the checkpoints.
    """

    update: int
    """Update at which the plan was made."""
    share: float
    """Share of the training that was done at that update."""
    end: int
    """The last update."""
    limits: str
    """Hash of the settings that the plan depends on."""

    def done(self, update: int) -> float:
        """Returns the share of the training that is done after an update; it rises linearly to 1 at the last one."""
        return min(1.0, self.share + (1 - self.share) * (update - self.update) / (self.end - self.update))


def plan_cooldown(update: int, share: float, config: TrainingConfig) -> CooldownPlan | None:
    """Plans the rest of the training from the speed so far; None without a time limit or before the cooldown.

    share: share of the training that is done, by the limit that comes first.
    """
    limit = config.max_minutes
    if limit is None or not config.cooldown or not update or share < 1 - config.cooldown or share >= 1:
        return None
    # `share` already belongs to the limit that will be reached first at the speed so far.
    left = max(1, round(update * (1 - share) / share))
    return CooldownPlan(update, share, min(update + left, config.max_updates), limits_key(config))


def limits_key(config: TrainingConfig) -> str:
    """Returns a hash of the settings that a plan depends on."""
    return content_key([config.max_updates, config.max_epochs, config.max_minutes, config.cooldown])


def learning_rate(update: int, config: TrainingConfig, factor: float = 1.0, done: float = 0.0) -> float:
    """Returns the rate of an update, counted from 1: linear warm-up to the configured rate, then by schedule.

    inverse_sqrt: rate * sqrt(warmup / update) (Vaswani et al. 2017, section 5.3, with a configurable peak).
    factor: reduction by the plateau schedule so far; the other schedules ignore it.
    done: share of the training that is done. In the last `cooldown` share, the rate of every schedule is multiplied by
    a factor that falls linearly from 1 to 0 (Haegele et al. 2024, arXiv 2405.18392, section 3).
    """
    cooling = min(1.0, (1 - done) / config.cooldown) if config.cooldown else 1.0
    return cooling * _scheduled(update, config, factor)


def _scheduled(update: int, config: TrainingConfig, factor: float) -> float:
    peak = config.learning_rate * (factor if config.schedule == "plateau" else 1.0)
    if update < config.warmup:
        return peak * update / config.warmup
    if config.schedule == "inverse_sqrt":
        return peak * float(max(config.warmup, 1) / update) ** 0.5
    return peak
