"""Fixtures and settings shared by all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.tiny_run import TinyRun, train_tiny_run
from tests.tiny_training import share_prepared, write_numbers

# Tests are deterministic; `pytest --hypothesis-profile explore` tries new examples each time. There is no deadline per
# example, so that tests pass on a busy machine.
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("repeat")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that uses a trained run or prepared data as `e2e`."""
    for item in items:
        if {"tiny_run", "prepared"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("e2e")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Uses one thread, which is faster for tiny models and makes sums bitwise reproducible."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A run named `tiny`, trained once per session; tests must not change it."""
    return train_tiny_run(tmp_path_factory.mktemp("tiny-run"))


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
