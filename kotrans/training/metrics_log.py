"""metrics.jsonl: every update and every validation of a run, a line of JSON each."""

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kotrans.storage.files import disk_errors, write_lines
from kotrans.training.events import Event, Saved, Updated

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
