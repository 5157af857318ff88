"""The numbers that training's tests use, too."""

from tests.trainer.conftest import prepared, runs, text

__all__ = ["prepared", "runs", "text"]
