"""Cache of the SHA-256 hashes of large files."""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from kotrans.storage.files import sha256, write_json

logger = logging.getLogger(__name__)

_MOST = 1000  # most recently hashed files that are kept
# A file that was changed a moment ago may change again within the resolution of its time stamps.
_SETTLED = 2_000_000_000  # nanoseconds


class HashCache:
    """SHA-256 hashes by file. An entry is valid while the size, time stamps and inode of the file are unchanged."""

    def __init__(self, memory: Path | None = None) -> None:
        """memory: the file that stores the cache; a missing or damaged file is an empty cache."""
        self._memory = memory
        self._known = _read(memory)

    def of(self, path: Path) -> str:
        """Returns the SHA-256 hash of a file. Raises OSError if it cannot be read."""
        name, state = os.path.realpath(path), _state(path)
        match self._known.get(name):
            case [digest, *known] if known == state and isinstance(digest, str):
                return digest
        digest = sha256(path)
        if _state(path) == state and time.time_ns() - max(state[1:3]) > _SETTLED:
            self._known.pop(name, None)
            self._known[name] = [digest, *state]
            self._remember()
        return digest

    def _remember(self) -> None:
        self._known = dict(list(self._known.items())[-_MOST:])
        if self._memory is None:
            return
        try:
            write_json(self._memory, self._known)
        except OSError as error:  # the cache only saves time
            logger.info("%s: cannot be written (%s)", self._memory, error)


def _read(memory: Path | None) -> dict[str, list[Any]]:
    try:
        known = json.loads(memory.read_bytes()) if memory else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _state(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
