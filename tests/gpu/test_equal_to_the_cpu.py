"""Losses, gradients and translations of a device are those of the CPU."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from kotrans import Translator
from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.config.schema import Config
from kotrans.model.build import build_model
from kotrans.parallel.shards import ShardPool
from kotrans.runs.run import Run
from kotrans.storage.files import read_lines
from kotrans.training.update import build_optimizer, run_update
from tests.gpu.conftest import shaped_config
from tests.tiny_run import write_pairs
from tests.tiny_training import train_tiny

pytestmark = pytest.mark.e2e

NO_DROPOUT = dict.fromkeys(("embedding", "layers", "recurrent", "output", "source_word", "target_word"), 0)


class Gradients(NamedTuple):
    """The result of one update, in float64 on the CPU."""

    loss: float
    norm: float
    gradient: Tensor  # of all weights, flat


def gradients(config: Config, device: str, precision: str, *, plain: bool = False) -> Gradients:
    """Computes an update of two batches, without dropout, which each device draws differently.

    The weights are as large as trained ones.
    """
    pieces = config.tokenizer.vocabulary_size
    model, draw = build_model(config, pieces, pieces), torch.Generator().manual_seed(1)
    for matrix in model.parameters():
        if matrix.dim() == 2:
            nn.init.normal_(matrix, std=matrix.size(1) ** -0.5, generator=draw)
    model.to(device, torch.float64 if precision == "float64" else None).train_by_plain_steps(plain)
    stream = SyntheticPairs(config).stream()
    result = run_update(
        model, build_optimizer(model, config.training), [next(stream)[1] for _ in range(2)], config.training,
        learning_rate=0, precision="bf16" if precision == "bf16" else "fp32", pool=ShardPool(1), seed=(1,),
    )  # fmt: skip
    parts = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    return Gradients(result.loss, result.gradient_norm, torch.cat(parts).double().cpu())


@pytest.fixture(scope="module")
def config(shape: str, device: str, text: Path) -> Config:
    return shaped_config(
        shape, device, text, dropout=NO_DROPOUT, batches={"tokens": 400},
        tokenizer={"vocabulary_size": 300 if device == "cpu" else 8000}, training={"label_smoothing": 0.1},
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected(config: Config) -> Gradients:
    """Of the equations, differentiated by autograd on the CPU."""
    return gradients(config, "cpu", "float64", plain=True)


def error(found: Gradients, expected: Gradients) -> float:
    """Returns the relative error of the gradient."""
    return float((found.gradient - expected.gradient).norm() / expected.gradient.norm())


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("fp32", 1e-5), ("bf16", 1e-2)])
def test_losses_and_gradients_are_those_of_the_equations_on_the_cpu_to_the_rounding_of_the_precision(
    precision: str, tolerance: float, device: str, config: Config, expected: Gradients
) -> None:
    found = gradients(config, device, precision)
    assert found.loss == pytest.approx(expected.loss, rel=tolerance)
    # The recurrences magnify rounding, those with layer normalization by thousands.
    rounding = error(gradients(config, "cpu", precision, plain=True), expected)
    print(f"{precision}: relative error of the gradient {error(found, expected):.1e}, on the CPU {rounding:.1e}")
    assert error(found, expected) < 3 * rounding + 1e-9


def test_a_model_trained_on_the_device_translates_there_as_on_the_cpu(
    shape: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tmp_path / "runs"))
    write_pairs(tmp_path)
    run, rate = Run(tmp_path / "runs" / "trained"), 0.02 if device == "cpu" else 0.002  # wide models diverge sooner
    config = shaped_config(
        shape, device, tmp_path, tokenizer={"vocabulary_size": 340}, batches={"tokens": 600}, dropout=NO_DROPOUT,
        training={"max_updates": 160, "learning_rate": rate, "warmup": 20}, validation={"every": 80},
    )  # fmt: skip
    train_tiny(config, run)
    lines = read_lines(tmp_path / "test.ko")
    # On the CPU, also the engine and the size of the batches differ.
    here, there = (
        list(Translator.load(run.folder, settings=settings).translations(lines))
        for settings in (
            [f"hardware.device={device}", "hardware.engine=torch"],
            ["hardware.device=cpu", "search.batch=7"],
        )
    )
    assert len({translation.text for translation in here}) > len(lines) / 8
    assert [translation.text for translation in here] == [translation.text for translation in there]
    scores = [[translation.hypotheses[0].score for translation in each] for each in (here, there)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
