"""What stands beside a file or folder until it is whole, and goes when its process was killed."""

import os
import re
import secrets
import shutil
import sys
from pathlib import Path

_NAME = re.compile(r"\..+-[0-9a-f]{16}")  # what `scratch_path` gives


def scratch_path(final: Path) -> Path:
    """A hidden name beside `final` that nothing has. What is made there gets the permissions of any new file."""
    return final.with_name(f".{final.name[:50]}-{secrets.token_hex(8)}")


def remove_abandoned(folder: Path) -> None:
    """Removes scratch folders in a folder whose process is dead; where the system cannot tell, none."""
    for scratch in folder.glob(".*"):
        if _NAME.fullmatch(scratch.name) and (held := _hold(scratch, wait=False)) is not None:
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(held)


def held_scratch(final: Path) -> tuple[Path, int | None]:
    """A new scratch folder that `remove_abandoned` leaves alone until this process ends, or closes the handle."""
    while True:
        scratch = scratch_path(final)
        scratch.mkdir()
        held = _hold(scratch, wait=True)
        if scratch.exists():
            return scratch, held
        if held is not None:  # another process took it for abandoned before it was held
            os.close(held)


def _hold(folder: Path, *, wait: bool) -> int | None:
    """A handle that holds the folder until it is closed or the process ends, however it ends.

    None if there is no such folder, the system holds no folders (Windows, some network drives) or, without `wait`,
    another process holds it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle
