"""Commands look for runs where `tiny` is."""

import pytest

from tests.tiny_run import TinyRun


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """The shared run, found by every command of the test."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    monkeypatch.delenv("KOTRANS_MIRROR", raising=False)
    return tiny_run
