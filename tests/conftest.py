"""What tests of several folders share."""

from collections.abc import Iterator

import pytest
import torch

from tests.tiny_run import TinyRun, train_tiny_run


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The models here are tiny: threads would only cost time, and one thread makes sums repeat bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A run called `tiny`, trained once for the session; nobody may change it."""
    return train_tiny_run(tmp_path_factory.mktemp("tiny-run"))
