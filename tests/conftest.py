"""What tests of several folders share."""

import pytest

from tests.tiny_run import TinyRun, train_tiny_run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A run called `tiny`, trained once for the session; nobody may change it."""
    return train_tiny_run(tmp_path_factory.mktemp("tiny-run"))
