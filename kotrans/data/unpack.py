"""Extracts downloaded archives into a folder; their content is not trusted."""

import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from kotrans.errors import FetchError

_MAX_FILES = 1000  # extracted from one archive
_MAX_MEMBERS = 100_000  # of an archive from which only some are extracted
_BLOCK = 2**20  # bytes read at once
# Raised by Python's archive readers for damaged or unsupported archives.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


def unpack(
    archive: Path,
    kind: Literal["tar", "zip"],
    folder: Path,
    max_bytes: int,
    *,
    members: Sequence[str] = (),
    top_folder: bool = True,
) -> None:
    """Extracts an archive into a folder.

    members: patterns of the members to extract, in which `*` also matches `/`; all if empty. top_folder: false leaves
    out the first folder of each path, which GitHub names after the commit.
    Raises FetchError if the archive is damaged, has none of the members, does not fit on the disk, has more than a
    thousand wanted members or `max_bytes` in total, or has a wanted member that is a link or whose path leads outside
    the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    choice = _Choice(archive, folder, max_bytes, tuple(members), top_folder)
    try:
        if kind == "tar":
            _unpack_tar(choice)
        else:
            _unpack_zip(choice)
    except tarfile.FilterError as error:
        raise FetchError(f"{archive.name}: an unsafe archive ({error})") from None
    except OSError as error:
        if error.errno is not None:  # a disk error; errors about gzip and bzip2 data have no errno
            raise
        raise _damaged(archive, kind, error) from None
    except _DAMAGE as error:
        raise _damaged(archive, kind, error) from None
    if members and not choice.files:
        raise FetchError(f"{archive.name}: has no member {' or '.join(members)}")


def _damaged(archive: Path, kind: str, error: Exception) -> FetchError:
    return FetchError(f"{archive.name}: a damaged {kind} archive ({error})")


class _Choice:
    """Decides which members of an archive are extracted, and where to; enforces the limits."""

    def __init__(self, archive: Path, folder: Path, max_bytes: int, members: tuple[str, ...], top_folder: bool) -> None:
        self.archive, self.folder, self.max_bytes = archive, folder, max_bytes
        self.files = 0
        """Wanted members so far."""
        self._patterns, self._top_folder = members, top_folder
        self._members = self._bytes = 0

    def path(self, name: str, size: int, *, plain: bool) -> str | None:
        """Returns the path below the folder for a member, or None if it is not wanted.

        plain: whether it is a regular file or a folder. Raises FetchError if it is unsafe or a limit is exceeded.
        """
        inside = name.removeprefix("./")
        if not self._top_folder:
            inside = inside.partition("/")[2]
        wanted = bool(inside) and (
            not self._patterns or any(fnmatchcase(inside, pattern) for pattern in self._patterns)
        )
        self._members += 1
        self._bytes += size
        self.files += wanted
        if self.files > _MAX_FILES or self._members > _MAX_MEMBERS or self._bytes > self.max_bytes:
            raise FetchError(
                f"{self.archive.name}: unpacks to more than {_MAX_FILES} files or {self.max_bytes:,} bytes"
            )
        if not wanted:
            return None
        windows = PureWindowsPath(name)
        if PurePosixPath(name).is_absolute() or windows.anchor or ".." in windows.parts or not plain:
            raise FetchError(
                f"{self.archive.name}: an unsafe archive (member {name!r} leads outside or is not a regular file)"
            )
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise FetchError(f"{self.archive.name}: {inside} needs {size:,} bytes, but the disk has only {free:,}")
        return inside


def _unpack_tar(choice: _Choice) -> None:
    with tarfile.open(choice.archive) as opened:
        for member in opened:
            path = choice.path(member.name, member.size, plain=member.isreg() or member.isdir())
            if path is not None:
                opened.extract(member.replace(name=path, deep=False), choice.folder, filter="data")
        # Reads to the end of the compressed stream, where its checksum is verified.
        rest = opened.fileobj
        for _ in range(choice.max_bytes // _BLOCK + 1):
            if rest is None or not rest.read(_BLOCK):
                break


def _unpack_zip(choice: _Choice) -> None:
    with zipfile.ZipFile(choice.archive) as opened:
        for member in opened.infolist():
            plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            path = choice.path(member.filename, member.file_size, plain=plain)
            if path is not None:
                member.filename = path
                opened.extract(member, choice.folder)  # zipfile extracts no more than `file_size`
