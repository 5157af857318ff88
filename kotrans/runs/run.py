"""Run folders: their contents, and the last and the best checkpoint.

| in a run | what |
| --- | --- |
| run.json | name, config, status, dates, dataset, and the last, best and kept checkpoints |
| config.yaml | the resolved config |
| metrics.jsonl | a line for each update and each validation |
| tensorboard/ | the same for TensorBoard, if `training.tensorboard` is on |
| checkpoints/ | update-00000500/ and so on; update-00000500.damaged/ is never used |
| evaluation/ | hypotheses and figures of `kotrans eval` |

What training calls its checkpoints: update-00000500, and update-00000500-before-validation.

The lock of a run: one process writes a run's folder at a time.
"""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from kotrans.errors import CheckpointError, UsageError
from kotrans.storage.files import disk_errors, new_directory, write_json, write_text
from kotrans.storage.scratch import hold, release, remove_folder


class RunLock:
    """Two locks: a file beside the folder, which is there before the folder is, and the folder itself.

    The second one holds even if somebody deletes the file; Windows lets nobody do that.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = FileLock(folder.parent / f".{folder.name}.lock")
        self._held: int | None = None

    def __del__(self) -> None:
        release(self._held)

    @property
    def is_locked(self) -> bool:
        """Whether this object has the lock."""
        return bool(self._file.is_locked)

    def acquire(self) -> bool:
        """Takes the lock, until `release` or the end of this process; false if another process has it."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file.acquire(blocking=False)
        except Timeout:
            return False
        if self.lock_folder():
            return True
        self._file.release()
        return False

    def lock_folder(self) -> bool:
        """Locks the folder, if it is there by now; false if another process has it."""
        if self._held is None:
            try:
                self._held = hold(self._folder)
            except BlockingIOError:
                return False
        return True

    def release(self) -> None:
        """Gives the lock back."""
        release(self._held)
        self._held = None
        self._file.release(force=True)


_BEFORE_VALIDATION = "-before-validation"
_NAME = re.compile(rf"update-(\d+)({_BEFORE_VALIDATION})?")


def checkpoint_name(update: int, *, validation_due: bool = False) -> str:
    """The name of an update's checkpoint. One whose validation is due gives way to the one after the validation."""
    return f"update-{update:08d}" + (_BEFORE_VALIDATION if validation_due else "")


def update_of(name: str) -> int:
    """The update that a checkpoint is named after; -1 for one of another name."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else -1


def gives_way_to(name: str, other: str) -> bool:
    """Whether a checkpoint is no longer needed once another one is there."""
    return name.removesuffix(_BEFORE_VALIDATION) == other


logger = logging.getLogger(__name__)

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
    damaged: list[str] = field(default_factory=list)  # folders that are never used and never removed


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
    def tensorboard(self) -> Path:
        return self.folder / "tensorboard"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    def record(self) -> RunRecord:
        """Raises CheckpointError if run.json cannot be read."""
        try:
            values: dict[str, Any] = json.loads((self.folder / "run.json").read_text("utf-8"))
            return RunRecord(**values)
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, RecursionError):
            raise CheckpointError(f"{self.folder}: run.json is missing or damaged; this is not a run folder") from None
        except OSError as error:
            raise CheckpointError(f"{self.folder}: run.json cannot be read now ({error.strerror or error})") from None

    def write(self, record: RunRecord) -> None:
        """Replaces run.json, stamped with the time. Raises CheckpointError if the disk is full or the run is gone."""
        if not self.folder.is_dir():
            raise self._removed()
        with disk_errors(self.folder / "run.json", "the checkpoints that it names are whole"):
            _write_record(self.folder, record)

    @contextmanager
    def created(self, record: RunRecord, config: str) -> Iterator["Run"]:
        """Gives a run to write into that becomes this one, with its record and config, if the block succeeds.

        Raises UsageError if the folder is there.
        """
        with disk_errors(self.folder, "no run was started"):
            try:
                with new_directory(self.folder) as scratch:
                    yield Run(scratch)
                    write_text(scratch / "config.yaml", config)
                    _write_record(scratch, record)
            except FileExistsError:
                raise taken(self) from None
        if self._lock.is_locked:
            self._lock.lock_folder()

    def check_there(self) -> None:
        """Raises CheckpointError if the run's folder was removed, so that no orphaned files are written."""
        if not (self.folder / "run.json").exists():
            raise self._removed()

    def _removed(self) -> CheckpointError:
        return CheckpointError(f"{self.folder}: the run's folder was removed or moved; nothing more is written to it")

    @cached_property
    def _lock(self) -> RunLock:
        return RunLock(self.folder)

    def claim(self) -> bool:
        """Keeps other processes from writing this run, until `release` or the end of this process; false if one is."""
        return self._lock.acquire()

    def release(self) -> None:
        """Ends a claim."""
        self._lock.release()

    def is_claimed(self) -> bool:
        """Whether another process is writing this run."""
        if self._lock.is_locked:
            return False
        if not self.claim():
            return True
        self.release()
        return False

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
            damaged = f"; damaged: {', '.join(record.damaged)}" if record.damaged else ""
            raise CheckpointError(f"{self.folder}: has no checkpoint {name}; it keeps {kept}{damaged}")
        return folder

    def add_checkpoint(self, name: str, record: RunRecord, *, best: bool, keep: int) -> RunRecord:
        """Records a checkpoint that is in place, then removes what is not kept: the best and `keep` latest stay."""
        latest = [*(kept for kept in record.kept if not gives_way_to(kept, name)), name]
        best_name = name if best else record.best
        kept = [kept for kept in latest if kept in latest[-keep:] or kept == best_name]
        record = replace(record, last=name, best=best_name, kept=kept)
        self.write(record)
        self._remove_unlisted(record)
        return record

    def go_back_to(self, name: str) -> None:
        """Makes this checkpoint the last one, and the best if the best came after it.

        The later ones, which are damaged, stay under names of their own: NAME.damaged.
        """
        record = self.record()
        place = record.kept.index(name) + 1
        kept, later = record.kept[:place], record.kept[place:]
        with disk_errors(self.checkpoints, "nothing was removed"):
            for each in later:
                self._set_aside(each)
            damaged = sorted(path.name for path in self.checkpoints.glob("*.damaged*"))
        best = record.best if record.best in kept else name
        record = replace(record, last=name, best=best, kept=kept, damaged=damaged)
        self.write(record)
        self._remove_unlisted(record)

    def _set_aside(self, name: str) -> None:
        names = (f"{name}.damaged" + (f"-{number}" if number > 1 else "") for number in count(1))
        free = next(self.checkpoints / each for each in names if not os.path.lexists(self.checkpoints / each))
        if (self.checkpoints / name).exists():
            os.rename(self.checkpoints / name, free)

    def remove_leftovers(self, record: RunRecord) -> None:
        """Removes what a crash left behind: checkpoints that run.json does not name, and files half written."""
        self._remove_unlisted(record)
        for name in ("run.json", "config.yaml", "metrics.jsonl"):
            for scratch in self.folder.glob(f".{name}-*"):
                scratch.unlink(missing_ok=True)

    def _remove_unlisted(self, record: RunRecord) -> None:
        """Removes what training wrote and run.json does not name; folders of other names are somebody's own."""
        for folder in self.checkpoints.iterdir() if self.checkpoints.is_dir() else ():
            if folder.name.startswith(".") or (update_of(folder.name) >= 0 and folder.name not in record.kept):
                remove_folder(folder)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # a run in training replaces its checkpoints
                total += path.stat().st_size if path.is_file() else 0
        return total


def taken(run: Run) -> UsageError:
    """The error that a run of this name cannot be made."""
    if not run.folder.exists():
        return UsageError(f"{run.folder}: another process is about to make it; take another --run name")
    return UsageError(f"{run.folder}: exists already; continue it with --resume, or take another --run name")


def _write_record(folder: Path, record: RunRecord) -> None:
    write_json(folder / "run.json", asdict(replace(record, changed=now())))


def now() -> str:
    """The time in UTC, to the microsecond so that runs sort by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
