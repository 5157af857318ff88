"""A folder or zip archive of files with a manifest of their SHA-256 hashes, which are checked when a file is read.

A zip archive is read in place and never extracted.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from kotrans.errors import CheckpointError, DamagedError
from kotrans.storage.files import sha256, write_json

MANIFEST = "manifest.json"
_FORMAT = 1  # version of the folder's layout; increase it on changes, so that other versions refuse it
_LONGEST_MANIFEST = 1_000_000  # bytes
# Weights are hardly compressible. A zip archive that expands by more than this factor is a zip bomb.
_MOST_GROWTH = 10
# Errors of missing or changed files. Any other OSError may be temporary.
_DAMAGE = (
    FileNotFoundError, NotADirectoryError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def write_manifest(folder: Path) -> None:
    """Writes the manifest of all files in the folder, which must not change afterwards."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    write_json(folder / MANIFEST, {"format": _FORMAT, "files": hashes})


class VerifiedFiles:
    """The files of a folder or zip archive with a manifest.

    Raises DamagedError if the manifest is missing or damaged, CheckpointError if it cannot be read or was written by
    another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_zip = path.is_file()
        if self._is_zip:
            self._check_growth()
        self.files = self._read_manifest()
        """The SHA-256 hash of each file by name."""

    def read(self, name: str) -> bytes:
        """Returns the bytes of a file.

        Raises DamagedError if the file is missing or has another hash, CheckpointError if it cannot be read.
        """
        with self._errors(name):
            data = self._bytes(name)
        if hashlib.sha256(data).hexdigest() != self.files.get(name):
            raise damaged(self.path, name)
        return data

    def verify(self) -> None:
        """Checks the hash of every file in bounded memory.

        Raises DamagedError if a file is missing or has another hash, CheckpointError if one cannot be read.
        """
        for name, expected in self.files.items():
            with self._errors(name), self._opened(name) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # works for members
            if found != expected:
                raise damaged(self.path, name)

    def _bytes(self, name: str) -> bytes:
        with self._opened(name) as file:
            return file.read()  # of a zip member at most the size in the archive's directory

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        if not self._is_zip:
            with (self.path / name).open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(name) as member:
            yield member

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Inside the block, errors of reading a file become DamagedError or CheckpointError."""
        try:
            yield
        except _DAMAGE:
            raise damaged(self.path, name) from None
        except OSError as error:
            raise unreadable(self.path / name, error) from None

    def _check_growth(self) -> None:
        try:
            with zipfile.ZipFile(self.path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
        except _DAMAGE:
            raise CheckpointError(
                f"{self.path}: is not a zip archive, or a damaged one; create it again with `kotrans export`"
            ) from None
        except OSError as error:
            raise unreadable(self.path, error) from None
        if unpacked > _MOST_GROWTH * self.path.stat().st_size:
            raise CheckpointError(
                f"{self.path}: unpacks to more than {_MOST_GROWTH} times its size, which weights never do; "
                "use one that `kotrans export` wrote"
            )

    def _read_manifest(self) -> dict[str, str]:
        try:
            data = self._bytes(MANIFEST)
        except (FileNotFoundError, NotADirectoryError, KeyError):
            raise DamagedError(f"{self.path}: there is no checkpoint here; `kotrans runs` lists the runs") from None
        except _DAMAGE:
            raise damaged(self.path, MANIFEST) from None
        except OSError as error:
            raise unreadable(self.path / MANIFEST, error) from None
        if len(data) > _LONGEST_MANIFEST:
            raise damaged(self.path, MANIFEST)
        return self._parse(data)

    def _parse(self, manifest: bytes) -> dict[str, str]:
        try:
            values = json.loads(manifest.decode())
            if values["format"] != _FORMAT:
                raise CheckpointError(f"{self.path}: made by another version of kotrans (format {values['format']})")
            files = {str(name): str(digest) for name, digest in dict(values["files"]).items()}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise damaged(self.path, MANIFEST) from None
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            raise CheckpointError(f"{self.path}: lists files outside of it; use one that `kotrans export` wrote")
        return files


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """Returns the error for a file that exists but cannot be read."""
    return CheckpointError(
        f"{path}: cannot be read now ({error.strerror or error}); nothing was changed; "
        "check its permissions and the disk"
    )


def damaged(path: Path, name: str) -> DamagedError:
    """Returns the error for a file that is missing or has another hash than the manifest."""
    copied = "copy it again, or create it again with `kotrans export`"
    remedy = copied if path.is_file() else "use another checkpoint of the run"
    return DamagedError(f"{path}: this checkpoint is damaged ({name} is missing or not what was written); {remedy}")
