"""Real text, a real tokenizer and a real dataset, made once; a folder for runs for each test."""

from pathlib import Path

import pytest

from tests.tiny_training import share_prepared, write_numbers


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
