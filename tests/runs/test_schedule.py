"""Learning-rate schedules."""

import pytest

from kotrans.config.schema import TrainingConfig
from kotrans.runs.schedule import learning_rate

RATE = 0.01


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt", "plateau"])
def test_every_schedule_warms_up_linearly(schedule: str) -> None:
    config = TrainingConfig.model_validate({"schedule": schedule, "learning_rate": RATE, "warmup": 4})
    rates = [learning_rate(update, config) for update in range(1, 5)]
    assert rates == pytest.approx([RATE / 4, RATE / 2, RATE * 3 / 4, RATE])


@pytest.mark.parametrize("warmup", [0, 1, 100])
def test_inverse_sqrt_halves_the_rate_at_four_times_the_warm_up(warmup: int) -> None:
    config = TrainingConfig(schedule="inverse_sqrt", learning_rate=RATE, warmup=warmup)
    peak = max(warmup, 1)
    assert learning_rate(peak, config) == pytest.approx(RATE)
    assert learning_rate(4 * peak, config) == pytest.approx(RATE / 2)
    assert learning_rate(16 * peak, config) == pytest.approx(RATE / 4)


def test_the_constant_schedule_does_not_change_the_rate() -> None:
    config = TrainingConfig(schedule="constant", learning_rate=RATE, warmup=0)
    assert {learning_rate(update, config) for update in (1, 10, 10**6)} == {RATE}


def test_only_the_plateau_schedule_uses_the_rate_factor() -> None:
    plateau = TrainingConfig(schedule="plateau", learning_rate=RATE, warmup=4)
    assert learning_rate(100, plateau, 0.25) == RATE / 4
    assert learning_rate(2, plateau, 0.25) == RATE / 8
    for schedule in ("constant", "inverse_sqrt"):
        other = plateau.model_copy(update={"schedule": schedule})
        for update in (2, 4, 100):
            assert learning_rate(update, other, 0.25) == learning_rate(update, other)


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt", "plateau"])
def test_every_schedule_cools_down_linearly_to_zero(schedule: str) -> None:
    config = TrainingConfig.model_validate({"schedule": schedule, "learning_rate": RATE, "warmup": 4, "cooldown": 0.2})
    for done, share in [(0.0, 1.0), (0.8, 1.0), (0.85, 0.75), (0.9, 0.5), (1.0, 0.0)]:
        plain = learning_rate(100, config.model_copy(update={"cooldown": 0.0}), 0.5, done)
        assert learning_rate(100, config, 0.5, done) == pytest.approx(share * plain)
