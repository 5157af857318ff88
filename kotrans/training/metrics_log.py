"""Listeners that write training events to files: metrics.jsonl and, if `training.tensorboard` is on, TensorBoard."""

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kotrans.errors import ConfigError
from kotrans.storage.files import disk_errors, write_lines
from kotrans.training.events import Event, Saved, Updated, Validated

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_REMEDY = "free some space and continue with --resume"


class MetricsFile:
    """Appends each update and validation to a JSON Lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start_after(self, update: int, *, validated: bool = True) -> None:
        """Removes the lines of later updates, which will run again, and a line that a crash left incomplete.

        validated: whether to keep the validation of this update; otherwise it will run again.
        """
        last = (update, validated)
        lines = self.path.read_text("utf-8", errors="replace").split("\n") if self.path.exists() else []
        with disk_errors(self.path, _REMEDY):
            write_lines(self.path, [line for line in lines if _place(line) <= last])

    def __call__(self, event: Event) -> None:
        """Appends the event. Raises CheckpointError if the disk is full."""
        if isinstance(event, Saved):
            return
        kind = "update" if isinstance(event, Updated) else "validation"
        values = asdict(event)
        if kind == "validation":
            values |= values.pop("figures")
        # Mode r+ does not create the file, so that a deleted run stays deleted.
        with disk_errors(self.path, _REMEDY), self.path.open("r+", encoding="utf-8", newline="\n") as file:
            file.seek(0, os.SEEK_END)
            file.write(json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n")


def _place(line: str) -> tuple[float, bool]:
    """Returns the update of a line and whether it is a validation; infinity if the line is incomplete."""
    try:
        values: dict[str, Any] = json.loads(line)
        return int(values["update"]), values.get("kind") == "validation"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return math.inf, False


class TensorBoard:
    """Writes events as TensorBoard scalars into a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError if TensorBoard is not installed."""
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise ConfigError(
                "training.tensorboard: TensorBoard is not installed; run pip install 'kotrans[tensorboard]', "
                "or set this to false"
            ) from None
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def start_after(self, update: int, *, validated: bool = True) -> None:
        """Opens the writer and hides events of later updates; a validation that runs again appears twice."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder), purge_step=update + 1)

    def __call__(self, event: Event) -> None:
        """Writes the event. Raises CheckpointError if the disk is full."""
        assert self._writer is not None  # start_after comes first
        with disk_errors(self.folder, _REMEDY):
            for name, value in _scalars(event).items():
                self._writer.add_scalar(name, value, event.update)

    def close(self) -> None:
        """Writes what is buffered. Raises CheckpointError if the disk is full."""
        if self._writer is not None:
            with disk_errors(self.folder, _REMEDY):
                self._writer.close()


def _scalars(event: Event) -> dict[str, float]:
    if isinstance(event, Updated):
        return {
            "train/loss": event.loss,
            "train/perplexity": event.perplexity,
            "train/learning_rate": event.learning_rate,
            "train/gradient_norm": event.gradient_norm,
            "train/target_tokens_per_second": event.target_tokens / event.seconds,
        }
    if isinstance(event, Validated):
        return {"dev/bleu": event.figures.bleu, "dev/perplexity": event.figures.perplexity}
    return {}
