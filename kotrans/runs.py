"""Run folders: what is in one, which checkpoint is last and best, and which run is meant.

| in a run | what |
| --- | --- |
| run.json | name, config, status, dates, dataset, and the last, best and kept checkpoints |
| config.yaml | the resolved config |
| metrics.jsonl | a line for each update and each validation |
| checkpoints/ | update-00000500/ and so on |
| evaluation/ | hypotheses and figures of `kotrans eval` |
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kotrans.errors import CheckpointError, UsageError
from kotrans.files import write_json

Status = Literal["training", "interrupted", "finished"]


@dataclass(frozen=True)
class RunRecord:
    """run.json: rewritten whole at every checkpoint, after the checkpoint's folder is in place."""

    config: str
    status: Status = "training"
    started: str = ""
    changed: str = ""
    dataset: str = ""
    updates: int = 0
    best_bleu: float | None = None
    best_perplexity: float | None = None
    last: str | None = None
    best: str | None = None
    kept: list[str] = field(default_factory=list)


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    def record(self) -> RunRecord:
        """Raises CheckpointError if run.json cannot be read."""
        try:
            values: dict[str, Any] = json.loads((self.folder / "run.json").read_text("utf-8"))
            return RunRecord(**values)
        except (OSError, ValueError, TypeError):
            raise CheckpointError(f"{self.folder}: run.json is missing or damaged; this is not a run folder") from None

    def write(self, record: RunRecord) -> None:
        """Replaces run.json, stamped with the time."""
        write_json(self.folder / "run.json", asdict(replace(record, changed=now())))

    def checkpoint(self, which: str = "best") -> Path:
        """The folder of `best`, `last`, or a checkpoint's own name. Raises CheckpointError if there is none."""
        record = self.record()
        name = {"best": record.best or record.last, "last": record.last}.get(which, which)
        if name is None:
            raise CheckpointError(
                f"{self.folder}: no checkpoint yet; go on with `kotrans train --run {self.name} --resume`"
            )
        folder = self.checkpoints / name
        if not folder.is_dir():
            kept = ", ".join(record.kept) or "none"
            raise CheckpointError(f"{self.folder}: has no checkpoint {name}; it keeps {kept}")
        return folder

    def add_checkpoint(self, name: str, record: RunRecord, *, best: bool, keep: int) -> RunRecord:
        """Records a checkpoint that is in place, then removes what is not kept: the best and `keep` latest stay."""
        latest = [*(kept for kept in record.kept if kept != name), name]
        best_name = name if best else record.best
        kept = [kept for kept in latest if kept in latest[-keep:] or kept == best_name]
        record = replace(record, last=name, best=best_name, kept=kept)
        self.write(record)
        self.remove_unlisted(record)
        return record

    def remove_unlisted(self, record: RunRecord) -> None:
        """Removes checkpoints that run.json does not name: no longer kept, or left half written by a crash."""
        for folder in self.checkpoints.iterdir() if self.checkpoints.is_dir() else ():
            if folder.name not in record.kept:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def runs_folder() -> Path:
    """Where runs and prepared data lie: KOTRANS_RUNS, or runs/ in the current folder."""
    return Path(os.environ.get("KOTRANS_RUNS") or "runs")


def prepared_folder() -> Path:
    """Where the stages before training keep their results, shared by all runs."""
    return runs_folder() / "prepared"


def all_runs() -> Iterator[Run]:
    """Every run, the most recently changed last."""
    found = [Run(path.parent) for path in runs_folder().glob("*/run.json")]
    yield from sorted(found, key=lambda run: (run.record().changed, run.name))


def find_run(name: str | None, *, unfinished: bool = False, config: str | None = None) -> Run:
    """The named run, or the most recently finished one (with `unfinished`, the most recently interrupted one).

    Raises CheckpointError if there is none.
    """
    if name is not None:
        run = Run(runs_folder() / name)
        if not (run.folder / "run.json").is_file():
            known = ", ".join(run.name for run in all_runs()) or "none yet"
            raise CheckpointError(f"{run.folder}: there is no such run; runs here: {known}")
        return run
    runs = [(run, run.record()) for run in all_runs()]
    if config is not None:
        runs = [(run, record) for run, record in runs if record.config == config]
    fitting = [run for run, record in runs if (record.status == "finished") != unfinished]
    if fitting:
        return fitting[-1]
    if unfinished:
        raise CheckpointError(f"{runs_folder()}: no unfinished run to resume; start one with `kotrans train`")
    hint = f"; {runs[-1][0].name} is unfinished: name it with --run, or finish it with --resume" if runs else ""
    raise CheckpointError(f"{runs_folder()}: no finished run yet; train one with `kotrans train`{hint}")


def new_run(name: str | None, config: str) -> Run:
    """A run folder that is not there yet: the name asked for, or the config's with a number if it is taken.

    Raises UsageError if the name asked for is taken or cannot be a folder's name.
    """
    if name is None:
        numbered = (config if number == 1 else f"{config}-{number}" for number in range(1, 1_000_000))
        return Run(next(path for path in (runs_folder() / each for each in numbered) if not path.exists()))
    if name == prepared_folder().name or not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"--run {name}: cannot be a run's name; take letters, digits, - and _")
    run = Run(runs_folder() / name)
    if run.folder.exists():
        raise UsageError(f"{run.folder}: exists already; continue it with --resume, or take another --run name")
    return run


def now() -> str:
    """The time in UTC, to the microsecond so that runs sort by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
