"""metrics.jsonl: every update and every validation of a run, a line of JSON each."""

import json
from dataclasses import asdict
from pathlib import Path

from kotrans.files import write_lines
from kotrans.trainer.events import Event, Saved, Updated


class MetricsFile:
    """Appends events to a file; after a resume, lines of updates that are run again are gone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start_after(self, update: int) -> None:
        """Drops what was written of later updates, and a line that a crash left unfinished."""
        if self.path.exists():
            lines = self.path.read_text("utf-8").split("\n")[:-1]
            write_lines(self.path, [line for line in lines if json.loads(line)["update"] <= update])

    def __call__(self, event: Event) -> None:
        """A listener of training."""
        if isinstance(event, Saved):
            return
        kind = "update" if isinstance(event, Updated) else "validation"
        values = asdict(event)
        if kind == "validation":
            values |= values.pop("figures")
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n")
