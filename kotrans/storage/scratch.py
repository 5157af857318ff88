"""Temporary files and folders next to their final path, which are removed after their process was killed.

The name ends with an identifier of the machine and a random number. The process holds a lock that other processes on
the same machine can test. A lock may not work across the machines that share a disk; there only the age counts.
"""

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)
ABANDONED_AFTER = 7 * 24 * 3600.0
"""Seconds without a change after which a temporary folder of another machine is removed."""
_NAME = re.compile(r"\..+-([0-9a-f]{8})-[0-9a-f]{16}")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def new_scratch(final: Path, *, folder: bool) -> Iterator[Path]:
    """Creates a locked temporary folder, or an empty file, next to `final`, and removes it if the block fails.

    It gets the permissions of any new file.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch, lock = _create(final, folder=folder)
    try:
        yield scratch
    except BaseException:
        _remove(scratch)
        raise
    finally:
        release(lock)


def remove_abandoned(folder: Path) -> None:
    """Removes the temporary files and folders in a folder whose process has ended.

    Those of another machine, or on a system without locks, are removed when nothing in them has changed for
    ABANDONED_AFTER seconds.
    """
    for scratch in folder.glob(".*"):
        match = _NAME.fullmatch(scratch.name)
        if match is None:
            continue
        try:
            lock = try_lock(scratch)
        except BlockingIOError:
            continue
        try:
            if (lock is not None and match[1] == _this_machine()) or _age(scratch) > ABANDONED_AFTER:
                _remove(scratch)
        finally:
            release(lock)


def remove_folder(folder: Path) -> None:
    """Removes a folder. It is renamed first, so that a partly removed folder never keeps its name."""
    try:
        folder = folder if _NAME.fullmatch(folder.name) else folder.rename(_scratch_path(folder))
    except OSError as error:
        logger.info("%s: cannot be renamed (%s)", folder, error)
    _remove(folder)


def try_lock(path: Path) -> int | None:
    """Locks a file or folder until `release` or the end of the process. Returns a handle.

    Returns None if the system has no such locks (Windows, some network drives) or the path does not exist. Raises
    BlockingIOError if it is locked already.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise BlockingIOError(error.errno, error.strerror, str(path)) from None
        return None
    return handle


def release(lock: int | None) -> None:
    """Releases a lock of `try_lock`."""
    if lock is not None:
        os.close(lock)


def _create(final: Path, *, folder: bool) -> tuple[Path, int | None]:
    while True:
        scratch = _scratch_path(final)
        if folder:
            scratch.mkdir()
        else:
            scratch.touch(exist_ok=False)
        try:
            lock = try_lock(scratch)
        except BlockingIOError:  # `remove_abandoned` of another process was faster, and will remove it
            continue
        if scratch.exists():
            return scratch, lock
        release(lock)


def _scratch_path(final: Path) -> Path:
    return final.with_name(f".{final.name[:50]}-{_this_machine()}-{secrets.token_hex(8)}")


@cache
def _this_machine() -> str:
    """Returns eight hexadecimal digits that identify the running kernel, whose processes see each other's locks.

    The host name is not enough, because machines of a cluster may have the same one.
    """
    try:
        identity = _BOOT_ID.read_text("ascii")
    except OSError:  # not Linux
        import platform
        import uuid

        identity = f"{platform.node()} {uuid.getnode()}"
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def _age(scratch: Path) -> float:
    """Returns the seconds since the last change of anything in it."""
    newest = 0.0
    for path in (scratch, *scratch.rglob("*")):
        with suppress(OSError):  # removed in the meantime
            newest = max(newest, path.lstat().st_mtime)
    return time.time() - newest


def _remove(scratch: Path) -> None:
    """Removes a file or folder as far as permissions allow."""
    if scratch.is_dir() and not scratch.is_symlink():
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        with suppress(OSError):
            scratch.unlink()
