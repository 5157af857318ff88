"""The run that the commands of these tests use."""

import pytest

from tests.tiny_run import TinyRun


@pytest.fixture
def run(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """The shared run; commands find it through KOTRANS_RUNS."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    monkeypatch.delenv("KOTRANS_MIRROR", raising=False)
    return tiny_run
