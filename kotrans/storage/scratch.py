"""Temporary files and folders beside what they become, which are removed when the process that made them was killed.

The name of one ends in a mark of the machine and a random number. On the same machine a lock tells whether its process
is alive. Another machine on a shared disk may not see that lock, so there only the age counts.
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
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)
ABANDONED_AFTER = 7 * 24 * 3600.0
"""Seconds without a change after which a temporary folder of another machine is removed."""
_NAME = re.compile(r"\..+?(?:-([0-9a-f]{8}))?-[0-9a-f]{16}")  # older versions left the machine out
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def scratch_path(final: Path, machine: str = "") -> Path:
    """A hidden name beside `final` that nothing has. What is made there gets the permissions of any new file."""
    return final.with_name(f".{final.name[:50]}-{machine or this_machine()}-{secrets.token_hex(8)}")


@cache
def this_machine() -> str:
    """Eight hexadecimal digits for the running kernel: processes with the same ones see each other's locks.

    A host name alone will not do, because machines of a cluster may have the same one.
    """
    try:
        identity = _BOOT.read_text("ascii")
    except OSError:  # not Linux
        import platform
        import uuid

        identity = f"{platform.node()} {uuid.getnode()}"
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def is_scratch(name: str) -> bool:
    """Whether a file or folder has a name that `scratch_path` gives."""
    return _NAME.fullmatch(name) is not None


def remove_abandoned(folder: Path) -> None:
    """Removes temporary files and folders in a folder whose process has ended.

    Those of another machine, or where the system has no locks, are removed when nothing in them has changed for
    ABANDONED_AFTER seconds.
    """
    for scratch in folder.glob(".*"):
        found = _NAME.fullmatch(scratch.name)
        if found is None:
            continue
        try:
            held = hold(scratch)
        except BlockingIOError:
            continue
        try:
            if (held is not None and found[1] == this_machine()) or _age(scratch) > ABANDONED_AFTER:
                _remove(scratch)
        finally:
            release(held)


def held_scratch(final: Path, *, file: bool = False) -> tuple[Path, int | None]:
    """A new temporary folder, or an empty file, and a handle that keeps `remove_abandoned` away until it is closed."""
    while True:
        scratch = scratch_path(final)
        if file:
            scratch.touch(exist_ok=False)
        else:
            scratch.mkdir()
        try:
            held = hold(scratch)
        except BlockingIOError:  # another process takes it for abandoned just now
            continue
        if scratch.exists():
            return scratch, held
        release(held)


def remove_folder(folder: Path) -> None:
    """Removes a folder; where that fails, it has at least another name and is in nobody's way."""
    try:
        folder = folder if is_scratch(folder.name) else folder.rename(scratch_path(folder))
    except OSError as error:
        logger.info("%s: cannot be renamed (%s)", folder, error)
    shutil.rmtree(folder, ignore_errors=True)


def hold(path: Path) -> int | None:
    """Locks a file or folder until `release`, or until the process ends, however it ends.

    None where the system has no such locks (Windows, some network drives) or there is no such file. Raises
    BlockingIOError if another process, or another call, holds it.
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


def release(held: int | None) -> None:
    """Ends a lock that `hold` gave."""
    if held is not None:
        os.close(held)


def _age(scratch: Path) -> float:
    """Seconds since the last change of anything in it."""
    newest = 0.0
    for path in (scratch, *scratch.rglob("*")):
        try:
            newest = max(newest, path.lstat().st_mtime)
        except OSError:  # it was removed meanwhile
            continue
    return time.time() - newest


def _remove(scratch: Path) -> None:
    if scratch.is_dir() and not scratch.is_symlink():
        shutil.rmtree(scratch, ignore_errors=True)
        return
    try:
        scratch.unlink(missing_ok=True)
    except OSError:  # of another user; the next start tries again
        return
