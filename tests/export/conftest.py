"""The run `tiny` and its best checkpoint."""

from pathlib import Path

import pytest
import torch

from kotrans.runs.checkpoint import Checkpoint, load_checkpoint
from kotrans.runs.model_files import ModelFiles, load_model_files
from kotrans.runs.run import Run
from tests.tiny_run import TinyRun


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """The shared run, in KOTRANS_RUNS."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return tiny_run


@pytest.fixture
def best(tiny_run: TinyRun) -> Path:
    """The folder of its best checkpoint."""
    return Run(tiny_run.runs / "tiny").checkpoint("best")


@pytest.fixture
def checkpoint(best: Path) -> Checkpoint:
    """Its best checkpoint."""
    return load_checkpoint(best, torch.device("cpu"))


@pytest.fixture
def model(best: Path) -> ModelFiles:
    """Its best checkpoint, read without PyTorch."""
    return load_model_files(best)
