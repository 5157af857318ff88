"""The lock of a run: one process writes a run's folder at a time."""

from pathlib import Path

from filelock import FileLock, Timeout

from kotrans.storage.scratch import hold, release


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
