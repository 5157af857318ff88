"""Files that are listed with their hashes: what was sealed comes back as it was, or not at all.

They lie in a folder, or in a zip that is read in place; nothing is unpacked.
"""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kotrans.errors import CheckpointError
from kotrans.files import sha256, write_json

MANIFEST = "manifest.json"
_FORMAT = 1  # of the folder: raise it when it changes, so that other versions refuse it
_LONGEST_MANIFEST = 1_000_000  # bytes
# Weights hardly shrink in a zip. One that grows more than this is a bomb, which would take the memory.
_MOST_GROWTH = 10
_UNREADABLE = (OSError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def seal(folder: Path) -> None:
    """Lists what lies in the folder; write nothing after it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    write_json(folder / MANIFEST, {"format": _FORMAT, "files": digests})


class Sealed:
    """The files of a sealed folder or zip. Raises CheckpointError if there is none, or another version's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packed = path.is_file()
        if self._packed:
            self._check_growth()
        self.files = self._listed()

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises CheckpointError unless they are what was sealed."""
        try:
            data = self._bytes(name)
        except _UNREADABLE:
            raise damaged(self.path, name) from None
        if hashlib.sha256(data).hexdigest() != self.files.get(name):
            raise damaged(self.path, name)
        return data

    def verify(self) -> None:
        """Raises CheckpointError unless every file is what was sealed."""
        for name in self.files:
            self.read(name)

    def _bytes(self, name: str) -> bytes:
        if not self._packed:
            return (self.path / name).read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)  # never more than the directory of the zip says

    def _check_growth(self) -> None:
        try:
            with zipfile.ZipFile(self.path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
        except _UNREADABLE:
            raise CheckpointError(
                f"{self.path}: is no zip, or a damaged one; make it again with `kotrans export`"
            ) from None
        if unpacked > _MOST_GROWTH * self.path.stat().st_size:
            raise CheckpointError(f"{self.path}: unpacks to more than {_MOST_GROWTH} times its size; weights never do")

    def _listed(self) -> dict[str, str]:
        """The hash of each file, by name."""
        try:
            data = self._bytes(MANIFEST)
        except (FileNotFoundError, NotADirectoryError, KeyError):
            raise CheckpointError(f"{self.path}: there is no checkpoint here; `kotrans runs` lists the runs") from None
        except _UNREADABLE:
            raise damaged(self.path, MANIFEST) from None
        if len(data) > _LONGEST_MANIFEST:
            raise damaged(self.path, MANIFEST)
        return self._parse(data)

    def _parse(self, manifest: bytes) -> dict[str, str]:
        try:
            values = json.loads(manifest.decode())
            if values["format"] != _FORMAT:
                raise CheckpointError(f"{self.path}: made by another version of kotrans (format {values['format']})")
            files = {str(name): str(digest) for name, digest in dict(values["files"]).items()}
        except (ValueError, KeyError, TypeError):
            raise damaged(self.path, MANIFEST) from None
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            raise CheckpointError(f"{self.path}: lists files outside of it; take one that `kotrans export` wrote")
        return files


def damaged(path: Path, name: str) -> CheckpointError:
    """What to say of a file that is not what was sealed."""
    packed = "copy it again, or make it again with `kotrans export`"
    remedy = packed if path.is_file() else "take another one of the run"
    return CheckpointError(f"{path}: this checkpoint is damaged ({name} is missing or not what was written); {remedy}")
