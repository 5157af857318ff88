"""Archives opened without trusting them: no path outside, no links, no bombs."""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from kotrans.errors import FetchError

_MAX_MEMBERS = 1000
_BLOCK = 2**20  # bytes
# What Python's readers of archives raise at bytes that are not those of one, or of one they do not know.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


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
    except OSError as error:
        if error.errno is not None:  # of the disk; those about the data in gzip and bzip2 have no number
            raise
        raise _damaged(archive, kind, error) from None
    except _DAMAGE as error:
        raise _damaged(archive, kind, error) from None


def _damaged(archive: Path, kind: str, error: Exception) -> FetchError:
    return FetchError(f"{archive.name}: a damaged {kind} archive ({error})")


def _unpack_tar(archive: Path, folder: Path, max_bytes: int) -> None:
    total = 0
    with tarfile.open(archive) as opened:
        for count, member in enumerate(opened, 1):
            total += member.size
            _check(archive, member.name, member.isreg() or member.isdir(), count, total, max_bytes)
            opened.extract(member, folder, filter="data")
        # A tar ends before the compressed stream does, whose checksum stands at its end.
        rest = opened.fileobj
        for _ in range(max_bytes // _BLOCK + 1):
            if rest is None or not rest.read(_BLOCK):
                break


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
