"""metrics.jsonl: every update and every validation of a run, a line of JSON each.

TensorBoard: the figures of a run as curves, for whoever has it installed and asks for it.
"""

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kotrans.errors import ConfigError
from kotrans.storage.files import disk_errors, write_lines
from kotrans.training.events import Event, Saved, Updated, Validated

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


_UNHARMED = "make room and go on with --resume"


class MetricsFile:
    """Appends events to a file; after a resume, lines of updates that are run again are gone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start_after(self, update: int, *, validated: bool = True) -> None:
        """Drops what was written of later updates, and a line that a crash left unfinished.

        validated: whether a validation of this update stays; one that is due will be written again.
        """
        last = (update, validated)
        lines = self.path.read_text("utf-8", errors="replace").split("\n") if self.path.exists() else []
        with disk_errors(self.path, _UNHARMED):
            write_lines(self.path, [line for line in lines if _place(line) <= last])

    def __call__(self, event: Event) -> None:
        """A listener of training. Raises CheckpointError if the disk is full."""
        if isinstance(event, Saved):
            return
        kind = "update" if isinstance(event, Updated) else "validation"
        values = asdict(event)
        if kind == "validation":
            values |= values.pop("figures")
        # Not created again: a run that is being deleted would keep its folder.
        with disk_errors(self.path, _UNHARMED), self.path.open("r+", encoding="utf-8", newline="\n") as file:
            file.seek(0, os.SEEK_END)
            file.write(json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n")


def _place(line: str) -> tuple[float, bool]:
    """The update that a line is about, and whether it is about its validation; infinity if it is not whole."""
    try:
        values: dict[str, Any] = json.loads(line)
        return int(values["update"]), values.get("kind") == "validation"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return math.inf, False


_EVENTS_UNHARMED = "make room and go on with --resume"


class TensorBoard:
    """A listener of training that writes event files into a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError if TensorBoard is not installed."""
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise ConfigError(
                "training.tensorboard: TensorBoard is not installed; run pip install 'kotrans[tensorboard]', "
                "or set it to false"
            ) from None
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def start_after(self, update: int, *, validated: bool = True) -> None:
        """Begins to write; what an earlier start wrote of later updates is hidden.

        A validation that is made again is there twice.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.folder), purge_step=update + 1)

    def __call__(self, event: Event) -> None:
        """A listener of training. Raises CheckpointError if the disk is full."""
        assert self._writer is not None  # training listens after start_after
        with disk_errors(self.folder, _EVENTS_UNHARMED):
            for name, value in _figures(event).items():
                self._writer.add_scalar(name, value, event.update)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with disk_errors(self.folder, _EVENTS_UNHARMED):
                self._writer.close()


def _figures(event: Event) -> dict[str, float]:
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
