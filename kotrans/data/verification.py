"""Compares downloaded content with the hashes of the registry, or with those recorded at an earlier fetch."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kotrans.data.registry import RemoteFile
from kotrans.storage.files import sha256, write_json

_BLOCK = 2**20  # bytes read at once


class Mismatch(NamedTuple):
    """Content that differs from what is expected."""

    kind: str
    """Type of the hash, for messages."""
    found: str
    expected: str

    def __str__(self) -> str:
        return f"has {self.kind} {self.found}, expected {self.expected}"


def git_blob(path: Path) -> str:
    """Returns the git blob id (SHA-1) of a file."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            digest.update(data)
    return digest.hexdigest()


def tree_digest(folder: Path) -> str:
    """Returns the SHA-256 over the sorted lines `BLOB PATH` of the files in a folder.

    In a clone: `git ls-tree -r COMMIT | sed -E 's/^[0-9]+ blob ([0-9a-f]+)\\t(.*)$/\\1 \\2/' | grep -E PATTERN |
    LC_ALL=C sort | sha256sum`.
    """
    files = (path for path in folder.rglob("*") if path.is_file())
    lines = sorted(f"{git_blob(path)} {path.relative_to(folder).as_posix()}\n".encode() for path in files)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def mismatch(path: Path, file: RemoteFile, recorded: str | None) -> Mismatch | None:
    """Returns how a file differs from its hash in the registry, or without one from the recorded SHA-256; or None."""
    if file.git_blob:
        return _compared("git blob id", git_blob(path), file.git_blob)
    if expected := file.sha256 or recorded:
        return _compared("SHA-256", sha256(path), expected)
    return None


def tree_mismatch(folder: Path, file: RemoteFile) -> Mismatch | None:
    """Returns how the unpacked files differ from the registry, or None."""
    return _compared("content digest", tree_digest(folder), file.tree) if file.tree else None


def _compared(kind: str, found: str, expected: str) -> Mismatch | None:
    return None if found == expected else Mismatch(kind, found, expected)


class FirstHashes:
    """SHA-256 of the first download of versioned files without a hash in the registry, in a file of the cache."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> str | None:
        """Returns the recorded hash of a file, or None."""
        found = self._read().get(name)
        return found if isinstance(found, str) else None

    def record(self, files: Iterable[tuple[RemoteFile, Path]]) -> None:
        """Records the hashes of versioned files without one in the registry; replaces those that were there."""
        new = {file.name: sha256(path) for file, path in files if file.versioned and not (file.sha256 or file.git_blob)}
        if new:
            write_json(self._path, self._read() | new)

    def _read(self) -> dict[str, object]:
        try:
            values = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}
