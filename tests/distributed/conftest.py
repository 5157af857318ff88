"""The same text and folders as the tests of the loop have."""

from tests.trainer.conftest import prepared, runs, text

__all__ = ["prepared", "runs", "text"]
