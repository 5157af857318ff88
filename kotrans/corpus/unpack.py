"""Archives opened without trusting them: no path outside, no links, no bombs."""

import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from kotrans.errors import FetchError

_MAX_MEMBERS = 1000


def unpack(archive: Path, kind: Literal["tar", "zip"], folder: Path, max_bytes: int) -> None:
    """Extracts the archive's files into the folder.

    Raises FetchError if the archive is damaged, holds more than a thousand members or `max_bytes` in all, or has a
    member that is a link or whose name leads out of the folder.
    """
    try:
        if kind == "tar":
            _unpack_tar(archive, folder, max_bytes)
        else:
            _unpack_zip(archive, folder, max_bytes)
    except tarfile.FilterError as error:
        raise FetchError(f"{archive.name}: an unsafe archive ({error})") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FetchError(f"{archive.name}: a damaged {kind} archive ({error})") from None


def _unpack_tar(archive: Path, folder: Path, max_bytes: int) -> None:
    total = 0
    with tarfile.open(archive) as opened:
        for count, member in enumerate(opened, 1):
            total += member.size
            _check(archive, member.name, member.isreg() or member.isdir(), count, total, max_bytes)
            opened.extract(member, folder, filter="data")


def _unpack_zip(archive: Path, folder: Path, max_bytes: int) -> None:
    total = 0
    with zipfile.ZipFile(archive) as opened:
        for count, member in enumerate(opened.infolist(), 1):
            total += member.file_size  # zipfile reads no more than this, whatever the stream holds
            plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            _check(archive, member.filename, plain, count, total, max_bytes)
            opened.extract(member, folder)


def _check(archive: Path, name: str, plain: bool, count: int, total: int, max_bytes: int) -> None:
    """Raises FetchError unless the member is harmless and the archive within bounds so far."""
    outside = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts
    if outside or not plain:
        raise FetchError(f"{archive.name}: an unsafe archive (member {name!r} leads outside or is no plain file)")
    if count > _MAX_MEMBERS or total > max_bytes:
        raise FetchError(f"{archive.name}: unpacks to more than {_MAX_MEMBERS} files or {max_bytes:,} bytes")
