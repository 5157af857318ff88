"""Real text, a real tokenizer and a real dataset, made once; a folder for runs for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny_training import share_prepared, write_numbers


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbers(tmp_path_factory.mktemp("numbers"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def runs(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = share_prepared(tmp_path / "runs", prepared)
    monkeypatch.setenv("KOTRANS_RUNS", str(folder))
    return folder
