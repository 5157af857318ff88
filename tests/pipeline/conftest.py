"""The same text and folders as the tests of the loop have."""

from tests.trainer.conftest import one_thread, prepared, runs, text

__all__ = ["one_thread", "prepared", "runs", "text"]
