"""Settings of validation that change on resume: the best checkpoint is remeasured, so that figures are comparable."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.runs.run import Run
from kotrans.training.events import DevFigures
from tests.tiny_training import build_trainer, final_state, scripted, tiny_config

pytestmark = pytest.mark.e2e


def config_of(text: Path, updates: int, **validation: Any) -> Any:
    training = {"max_updates": updates, "warmup": 0}
    return tiny_config(text, training=training, validation={"every": 2, "patience": None} | validation)


def trained(text: Path, run: Run) -> None:
    """BLEU 30 at update 2 is the best; 20 at update 4."""
    build_trainer(config_of(text, 4), run, scripted(bleus=[30, 20])).train()
    assert run.record().best == "update-00000002"


@pytest.mark.parametrize(("again", "best"), [(10, "update-00000006"), (17, "update-00000002")])
def test_the_best_checkpoint_is_remeasured_after_settings_of_validation_changed(
    again: float, best: str, runs: Path, text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(runs / "run")
    trained(text, run)
    trainer = build_trainer(config_of(text, 6, sentences=2), run, scripted(bleus=[again, 15]))
    trainer.resume()
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert (
        "settings of validation have changed; with them, the best checkpoint so far (update 2) has BLEU" in caplog.text
    )
    assert run.record().best == best
    assert run.record().best_bleu == max(again, 15)


def test_remeasuring_uses_the_best_checkpoint_and_training_continues_from_the_last(runs: Path, text: Path) -> None:
    run, straight = Run(runs / "run"), Run(runs / "straight")
    trained(text, run)
    trained(text, straight)
    seen: list[torch.Tensor] = []

    def validate(model: Any) -> DevFigures:
        seen.append(model.softmax.weight.detach().clone())
        return DevFigures(1.0, 12.0, ())

    trainer = build_trainer(config_of(text, 6, beam=3), run, validate)
    trainer.resume()
    trainer.train()
    from kotrans.runs.checkpoint import load_checkpoint

    stored = load_checkpoint(run.checkpoints / "update-00000002", torch.device("cpu")).model
    assert torch.equal(seen[0], stored.softmax.weight)
    again = build_trainer(config_of(text, 6), straight, scripted(bleus=[1]))
    again.resume()
    again.train()
    one, two = final_state(run), final_state(straight)
    tensors = [name for name in one if "safetensors" in name]
    assert tensors
    assert all(one[name] == two[name] for name in tensors)


def test_unchanged_settings_do_not_remeasure_the_best(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    trained(text, run)
    trainer = build_trainer(config_of(text, 6, every=1, samples=1), run, scripted(bleus=[7, 8]))
    trainer.resume()
    trainer.train()  # a third validation would raise StopIteration
    assert (run.record().best, run.record().best_bleu) == ("update-00000002", 30)


def test_a_damaged_best_checkpoint_is_replaced_by_the_next_validation(runs: Path, text: Path) -> None:
    run = Run(runs / "run")
    trained(text, run)
    shutil.rmtree(run.checkpoints / "update-00000002" / "tokenizer")
    (run.checkpoints / "update-00000002" / "model.safetensors").write_bytes(b"")
    trainer = build_trainer(config_of(text, 6, sentences=2), run, scripted(bleus=[5]))
    trainer.resume()
    trainer.train()
    assert run.record().best == "update-00000006"
