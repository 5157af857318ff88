"""Diverged training ends with one line of error, and its checkpoints are not called good."""

import math
from pathlib import Path

import pytest
import torch

from kotrans.errors import TrainingError
from kotrans.runs.run import Run
from kotrans.training.divergence import PATIENCE, DivergenceCheck
from kotrans.training.events import Event, Updated
from tests.tiny_run import kotrans, write_config, write_pairs
from tests.tiny_training import build_trainer, scripted, tiny_config, train_tiny

pytestmark = pytest.mark.e2e


def test_a_learning_rate_of_1000_ends_in_a_divergence_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    write_pairs(tmp_path)
    result = kotrans("train", "-c", write_config(tmp_path), "--set", "training.learning_rate=1000")
    assert result.code == 1
    message = result.err.splitlines()[-1]
    assert message.startswith(
        f"error: {tmp_path / 'runs' / 'tiny'}: validation after update 80: the dev loss per target piece is "
    )
    assert message.endswith(
        " (a uniform guess has 5.8); training has diverged: lower training.learning_rate or raise training.warmup; "
        "there is no checkpoint"
    )
    assert Run(tmp_path / "runs" / "tiny").record().status == "training"


@pytest.mark.parametrize("rate", [3e38, 1e30])
def test_weights_that_are_not_finite_are_never_saved(rate: float, runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    training = {"learning_rate": rate, "warmup": 0}
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        train_tiny(tiny_config(text, training=training, validation={"every": 100}, checkpoints={"every": 1}), run)
    for path in run.checkpoints.rglob("model.safetensors") if run.checkpoints.exists() else ():
        from safetensors.torch import load_file

        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


@pytest.mark.parametrize("which", ["weight", "average", "moment"])
def test_a_state_with_a_non_finite_number_is_not_saved(which: str, runs: Path, text: Path) -> None:
    run = Run(runs / "run")

    def spoil(event: Event) -> None:
        if isinstance(event, Updated) and event.update == 4:
            model, ema, optimizer, _ = trainer.state
            moment = next(iter(optimizer.state.values()))["exp_avg"]
            tensor = {"weight": model.softmax.bias, "average": (ema or {})["softmax.bias"], "moment": moment}[which]
            with torch.no_grad():
                tensor.view(-1)[0] = math.inf

    config = tiny_config(text, training={"ema": 0.5}, checkpoints={"every": 1}, validation={"every": 100})
    trainer = build_trainer(config, run, scripted(), spoil)
    with pytest.raises(TrainingError) as error:
        trainer.train()
    assert str(error.value).startswith(f"{run.folder}: update 4: the weights or the optimizer's moments are not finite")
    assert str(error.value).endswith(f"; the last good checkpoint is {run.checkpoints / 'update-00000003'}")
    assert run.record().last == "update-00000003"


def test_a_long_high_loss_ends_training_and_names_a_checkpoint_before_it(runs: Path, text: Path) -> None:
    run = Run(runs / "run")

    def worsen(event: Event) -> None:
        if isinstance(event, Updated) and event.update >= 3:
            with torch.no_grad():
                trainer.state.model.softmax.bias[7] = 1000.0  # always predicts the same piece

    config = tiny_config(
        text, training={"max_updates": 1000, "learning_rate": 1e-6, "warmup": 0}, validation={"every": 1000},
        checkpoints={"every": 2, "keep": 100},
    )  # fmt: skip
    trainer = build_trainer(config, run, scripted(), worsen)
    with pytest.raises(TrainingError) as error:
        trainer.train()
    message = f"the loss per target piece has been above 11.4 for {PATIENCE} updates (a uniform guess has 5.7); "
    assert f"update {3 + PATIENCE}: {message}" in str(error.value)
    assert str(error.value).endswith(f"; the last good checkpoint is {run.checkpoints / 'update-00000002'}")


def test_a_uniform_guess_or_a_spike_is_not_divergence() -> None:
    check = DivergenceCheck(1000, patience=3)
    losses: list[float] = [math.log(1000)] * 50 + [100.0, 100.0, 7.0] * 5
    for update, loss in enumerate(losses, start=1):
        check.after_update(update, loss)
        assert check.is_good(update - 1) == (loss < 10)  # its weights gave this loss
        assert check.is_good(update - 5)
    check.after_validation(60, 1000.0)
    with pytest.raises(TrainingError, match="the dev loss per target piece is 20"):
        check.after_validation(70, math.exp(20))
    check.after_update(71, 100.0)
    assert [check.is_good(update) for update in (60, 69, 70)] == [True, True, False]
