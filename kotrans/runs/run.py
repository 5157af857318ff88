"""Run folders: their layout, their record (run.json), their checkpoints and their lock.

| in a run | contents |
| --- | --- |
| run.json | config name, status, dates, dataset, and the last, best and kept checkpoints |
| config.yaml | the resolved config |
| metrics.jsonl | one line per update and per validation |
| tensorboard/ | the same for TensorBoard, if `training.tensorboard` is on |
| checkpoints/ | update-00000500/ and so on; update-00000500.damaged/ is never used |
| evaluation/ | hypotheses and scores of `kotrans eval` |
| base/ | a copy of the model that training started from, with `kotrans train --from` |
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kotrans.errors import CheckpointError, UsageError
from kotrans.storage.files import disk_errors, new_directory, write_json, write_text
from kotrans.storage.scratch import release, remove_folder, try_lock

if TYPE_CHECKING:
    from filelock import FileLock

Status = Literal["training", "interrupted", "finished"]
_BEFORE_VALIDATION = "-before-validation"
_NAME = re.compile(rf"update-(\d+)({_BEFORE_VALIDATION})?")


def checkpoint_name(update: int, *, validation_due: bool = False) -> str:
    """Returns the name of an update's checkpoint: update-00000500 or update-00000500-before-validation."""
    return f"update-{update:08d}" + (_BEFORE_VALIDATION if validation_due else "")


def update_of(name: str) -> int:
    """Returns the update in a checkpoint's name; -1 if the name has another form."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else -1


class RunLock:
    """Lock of a run folder: a lock file beside it, which can exist before the folder, and a lock on the folder itself.

    The second lock still holds when somebody deletes the lock file. Windows locks no folders, but there a locked file
    cannot be deleted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: int | None = None

    def __del__(self) -> None:
        release(self._held)

    @cached_property
    def _file(self) -> "FileLock":
        from filelock import FileLock

        return FileLock(self._folder.parent / f".{self._folder.name}.lock")

    @property
    def is_locked(self) -> bool:
        """Whether this object holds the lock."""
        return bool(self._file.is_locked)

    def acquire(self) -> bool:
        """Takes the lock until `release` or the end of this process; False if another process holds it."""
        from filelock import Timeout

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
        """Locks the folder if it exists; False if another process holds its lock."""
        if self._held is None:
            try:
                self._held = try_lock(self._folder)
            except BlockingIOError:
                return False
        return True

    def release(self) -> None:
        """Releases both locks."""
        release(self._held)
        self._held = None
        self._file.release(force=True)


@dataclass(frozen=True)
class RunRecord:
    """Contents of run.json, which is rewritten whole after each new checkpoint is in place.

    `updates`, `best_bleu` and `best_perplexity` repeat the progress of the last checkpoint, so that runs can be listed
    without opening checkpoints.
    """

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
    base: str | None = None  # RUN/CHECKPOINT or path that training started from; None if it started from nothing


class Run:
    """One run folder."""

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

    @property
    def base(self) -> Path:
        return self.folder / "base"

    def record(self) -> RunRecord:
        """Reads run.json. Raises CheckpointError if it is missing, damaged or cannot be read."""
        try:
            values: dict[str, Any] = json.loads((self.folder / "run.json").read_text("utf-8"))
            return RunRecord(**values)
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, RecursionError):
            raise CheckpointError(f"{self.folder}: run.json is missing or damaged; this is not a run folder") from None
        except OSError as error:
            raise CheckpointError(f"{self.folder}: run.json cannot be read now ({error.strerror or error})") from None

    def write(self, record: RunRecord) -> None:
        """Replaces run.json and sets its time of change.

        Raises CheckpointError if the disk is full or the run folder was removed.
        """
        if not self.folder.is_dir():
            raise self._removed()
        with disk_errors(self.folder / "run.json", "the checkpoints it names are intact"):
            _write_record(self.folder, record)

    @contextmanager
    def created(self, record: RunRecord, config: str) -> Iterator["Run"]:
        """Yields a scratch run to write into, which becomes this run with its record and config if the block succeeds.

        Raises UsageError if the folder exists.
        """
        with disk_errors(self.folder, "no run was started"):
            try:
                with new_directory(self.folder) as scratch:
                    yield Run(scratch)
                    write_text(scratch / "config.yaml", config)
                    _write_record(scratch, record)
            except FileExistsError:
                raise name_taken(self) from None
        if self._lock.is_locked:
            self._lock.lock_folder()

    def check_exists(self) -> None:
        """Raises CheckpointError if the run folder was removed, so that no orphaned files are written."""
        if not (self.folder / "run.json").exists():
            raise self._removed()

    def _removed(self) -> CheckpointError:
        return CheckpointError(f"{self.folder}: the run folder was removed or moved; nothing more is written to it")

    @cached_property
    def _lock(self) -> RunLock:
        return RunLock(self.folder)

    def claim(self) -> bool:
        """Locks the run against other writers until `release` or the end of this process; False if it is locked."""
        return self._lock.acquire()

    def release(self) -> None:
        """Releases the lock that `claim` took."""
        self._lock.release()

    def is_claimed(self) -> bool:
        """Returns whether another process has locked this run."""
        if self._lock.is_locked:
            return False
        if not self.claim():
            return True
        self.release()
        return False

    def checkpoint(self, which: str = "best") -> Path:
        """Returns the folder of `best`, `last` or a checkpoint's name. Raises CheckpointError if there is none."""
        record = self.record()
        name = {"best": record.best or record.last, "last": record.last}.get(which, which)
        if name is None:
            raise CheckpointError(
                f"{self.folder}: no checkpoint yet; resume training with `kotrans train --run {self.name} --resume`"
            )
        folder = self.checkpoints / name
        if not folder.is_dir():
            kept = ", ".join(record.kept) or "none"
            damaged = f"; damaged: {', '.join(record.damaged)}" if record.damaged else ""
            raise CheckpointError(f"{self.folder}: has no checkpoint {name}; available: {kept}{damaged}")
        return folder

    def add_checkpoint(self, name: str, record: RunRecord, *, best: bool, keep: int) -> RunRecord:
        """Records a checkpoint that is in place, then removes all but the best and the `keep` latest.

        A checkpoint written before a validation is superseded by the one written after it. Returns the new record.
        """
        latest = [*(kept for kept in record.kept if kept.removesuffix(_BEFORE_VALIDATION) != name), name]
        best_name = name if best else record.best
        kept = [kept for kept in latest if kept in latest[-keep:] or kept == best_name]
        record = replace(record, last=name, best=best_name, kept=kept)
        self.write(record)
        self._remove_unlisted(record)
        return record

    def roll_back_to(self, name: str) -> None:
        """Makes this checkpoint the last one, and also the best one if the best is newer.

        The newer checkpoints, which are damaged, are renamed to NAME.damaged and kept.
        """
        record = self.record()
        place = record.kept.index(name) + 1
        kept, newer = record.kept[:place], record.kept[place:]
        with disk_errors(self.checkpoints, "nothing was removed"):
            for each in newer:
                self._rename_damaged(each)
            damaged = sorted(path.name for path in self.checkpoints.glob("*.damaged*"))
        best = record.best if record.best in kept else name
        record = replace(record, last=name, best=best, kept=kept, damaged=damaged)
        self.write(record)
        self._remove_unlisted(record)

    def _rename_damaged(self, name: str) -> None:
        names = (f"{name}.damaged" + (f"-{number}" if number > 1 else "") for number in count(1))
        free = next(self.checkpoints / each for each in names if not os.path.lexists(self.checkpoints / each))
        if (self.checkpoints / name).exists():
            os.rename(self.checkpoints / name, free)

    def remove_leftovers(self, record: RunRecord) -> None:
        """Removes the remains of a crash: checkpoints that run.json does not list, and half-written files."""
        self._remove_unlisted(record)
        for name in ("run.json", "config.yaml", "metrics.jsonl"):
            for scratch in self.folder.glob(f".{name}-*"):
                scratch.unlink(missing_ok=True)

    def _remove_unlisted(self, record: RunRecord) -> None:
        """Removes checkpoints that run.json does not list; folders with other names belong to the user."""
        for folder in self.checkpoints.iterdir() if self.checkpoints.is_dir() else ():
            if folder.name.startswith(".") or (update_of(folder.name) >= 0 and folder.name not in record.kept):
                remove_folder(folder)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # training may replace checkpoints meanwhile
                total += path.stat().st_size if path.is_file() else 0
        return total


def name_taken(run: Run) -> UsageError:
    """Returns the error for a run name that is in use."""
    if not run.folder.exists():
        return UsageError(f"{run.folder}: another process is creating this run; choose another --run name")
    return UsageError(f"{run.folder}: exists already; continue it with --resume, or choose another --run name")


def _write_record(folder: Path, record: RunRecord) -> None:
    write_json(folder / "run.json", asdict(replace(record, changed=now())))


def now() -> str:
    """Returns the time in UTC, to the microsecond so that runs sort by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
