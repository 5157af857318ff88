"""Files that are listed with their hashes: what was sealed comes back as it was, or not at all.

They lie in a folder, or in a zip that is read in place; nothing is unpacked.
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
_FORMAT = 1  # of the folder: raise it when it changes, so that other versions refuse it
_LONGEST_MANIFEST = 1_000_000  # bytes
# Weights hardly shrink in a zip. One that grows more than this is a bomb, which would take the memory.
_MOST_GROWTH = 10
# What is missing or not as it was written; any other OSError may be gone a moment later.
_DAMAGE = (
    FileNotFoundError, NotADirectoryError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def write_manifest(folder: Path) -> None:
    """Lists what lies in the folder; write nothing after it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    write_json(folder / MANIFEST, {"format": _FORMAT, "files": digests})


class VerifiedFiles:
    """The files of a sealed folder or zip.

    Raises DamagedError if there is none or the list is damaged, CheckpointError if it is another version's or cannot
    be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packed = path.is_file()
        if self._packed:
            self._check_growth()
        self.files = self._listed()

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises DamagedError unless they are what was sealed, CheckpointError if they cannot be read.
        """
        with self._errors(name):
            data = self._bytes(name)
        if hashlib.sha256(data).hexdigest() != self.files.get(name):
            raise damaged(self.path, name)
        return data

    def verify(self) -> None:
        """Raises DamagedError unless every file is what was sealed, CheckpointError if one cannot be read.

        Files are read in blocks, so that it takes no memory.
        """
        for name, digest in self.files.items():
            with self._errors(name), self._opened(name) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # a member is read as a file is
            if found != digest:
                raise damaged(self.path, name)

    def _bytes(self, name: str) -> bytes:
        with self._opened(name) as file:
            return file.read()  # of a zip never more than its directory says

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        if not self._packed:
            with (self.path / name).open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(name) as member:
            yield member

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Inside the block, errors of reading the file become ours."""
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
                f"{self.path}: is no zip, or a damaged one; make it again with `kotrans export`"
            ) from None
        except OSError as error:
            raise unreadable(self.path, error) from None
        if unpacked > _MOST_GROWTH * self.path.stat().st_size:
            raise CheckpointError(f"{self.path}: unpacks to more than {_MOST_GROWTH} times its size; weights never do")

    def _listed(self) -> dict[str, str]:
        """The hash of each file, by name."""
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
            raise CheckpointError(f"{self.path}: lists files outside of it; take one that `kotrans export` wrote")
        return files


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """What to say of a file that is there but cannot be read."""
    return CheckpointError(
        f"{path}: cannot be read now ({error.strerror or error}); nothing was changed; "
        "check its permissions and the disk"
    )


def damaged(path: Path, name: str) -> DamagedError:
    """What to say of a file that is not what was sealed."""
    packed = "copy it again, or make it again with `kotrans export`"
    remedy = packed if path.is_file() else "use another checkpoint of the run"
    return DamagedError(f"{path}: this checkpoint is damaged ({name} is missing or not what was written); {remedy}")
