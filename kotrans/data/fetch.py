"""Fetches listed corpora into a cache: verified, atomic, and with untrusted archives unpacked safely.

A mirror is a URL or a folder with the files at MIRROR/<corpus>/<file>; a folder may also hold them directly.
"""

import hashlib
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import platformdirs
from filelock import FileLock

from kotrans.data.download import Download, download
from kotrans.data.formats.reading import stream_pairs
from kotrans.data.registry import Entry, RemoteFile
from kotrans.errors import DataError, FetchError
from kotrans.storage import resources
from kotrans.storage.files import new_directory, sha256, write_json

Progress = Callable[[str, int, int | None], None]
"""Called with a file name, the bytes received and the total, None if unknown."""

RECORD = "fetched.json"
"""Name of the file that describes a fetched corpus."""

_MAX_MEMBERS = 1000
_BLOCK = 2**20  # bytes read at once
_MAX_EXPANSION = 20  # limit of the unpacked size, in multiples of the archive's limit
# Raised by Python's archive readers for damaged or unsupported archives.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


def unpack(archive: Path, kind: Literal["tar", "zip"], folder: Path, max_bytes: int) -> None:
    """Extracts an archive into a folder.

    Raises FetchError if the archive is damaged, has more than a thousand members or `max_bytes` in total, or has a
    member that is a link or whose path leads outside the folder.
    """
    try:
        if kind == "tar":
            _unpack_tar(archive, folder, max_bytes)
        else:
            _unpack_zip(archive, folder, max_bytes)
    except tarfile.FilterError as error:
        raise FetchError(f"{archive.name}: an unsafe archive ({error})") from None
    except OSError as error:
        if error.errno is not None:  # a disk error; errors about gzip and bzip2 data have no errno
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
        # Reads to the end of the compressed stream, where its checksum is verified.
        rest = opened.fileobj
        for _ in range(max_bytes // _BLOCK + 1):
            if rest is None or not rest.read(_BLOCK):
                break


def _unpack_zip(archive: Path, folder: Path, max_bytes: int) -> None:
    total = 0
    with zipfile.ZipFile(archive) as opened:
        for count, member in enumerate(opened.infolist(), 1):
            total += member.file_size  # zipfile extracts no more than this
            plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            _check(archive, member.filename, plain, count, total, max_bytes)
            opened.extract(member, folder)


def _check(archive: Path, name: str, plain: bool, count: int, total: int, max_bytes: int) -> None:
    """Raises FetchError if the member is unsafe or the archive exceeds its limits."""
    outside = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts
    if outside or not plain:
        raise FetchError(f"{archive.name}: an unsafe archive (member {name!r} leads outside or is not a regular file)")
    if count > _MAX_MEMBERS or total > max_bytes:
        raise FetchError(f"{archive.name}: unpacks to more than {_MAX_MEMBERS} files or {max_bytes:,} bytes")


def cache_folder() -> Path:
    """Returns the folder of fetched corpora: KOTRANS_CACHE, or the platform's cache folder."""
    named = os.environ.get("KOTRANS_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("kotrans", appauthor=False)


def default_mirror() -> str | None:
    """Returns KOTRANS_MIRROR, or None if it is not set."""
    return os.environ.get("KOTRANS_MIRROR") or None


def entry_folder(entry: Entry, cache: Path) -> Path:
    """Returns the folder of an entry's files, whether it exists or not."""
    return resources.starter() if entry.bundled else cache / f"{entry.name}-{entry.key}"


def fetch(entry: Entry, *, cache: Path, mirror: str | None = None, progress: Progress | None = None) -> Path:
    """Returns the folder of an entry's files; fetches them if missing.

    Raises FetchError if a file cannot be fetched or does not match the registry; partial downloads are kept.
    """
    folder = entry_folder(entry, cache)
    if entry.bundled or folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{folder.name}.lock"):  # another process may be fetching the same
            if not folder.is_dir():
                _fetch_all(entry, folder, mirror, progress or (lambda name, done, total: None))
    except FetchError as error:
        raise FetchError(f"{error}; {_remedy(entry, cache, mirror)}") from None
    except OSError as error:
        where, reason = error.filename or cache, error.strerror or error
        raise FetchError(f"{where}: {reason}; the cache is {cache}; set KOTRANS_CACHE to use another folder") from None
    return folder


def _fetch_all(entry: Entry, folder: Path, mirror: str | None, progress: Progress) -> None:
    parts = folder.with_name(f".{folder.name}.part")
    parts.mkdir(exist_ok=True)
    files = [_obtain(entry, file, parts, mirror, progress) for file in entry.files]
    try:
        with new_directory(folder) as scratch:
            for file, got in zip(entry.files, files, strict=True):
                if file.unpack:
                    unpack(got, file.unpack, scratch, _MAX_EXPANSION * file.max_bytes)
                else:
                    shutil.copyfile(got, scratch / file.name)
            write_json(scratch / RECORD, _record(entry, scratch, files))
    except FetchError:
        shutil.rmtree(parts)  # otherwise the next attempt would reuse the invalid files
        raise
    shutil.rmtree(parts)


def _record(entry: Entry, folder: Path, files: list[Path]) -> dict[str, Any]:
    """Returns the date, hashes and pair counts of the fetched files, which identify unversioned upstream data."""
    splits = entry.files_of_splits(folder).items()
    try:
        pairs = {split: sum(1 for _ in stream_pairs(named, entry.format, entry.fields)) for split, named in splits}
    except DataError as error:
        raise FetchError(f"{entry.name}: the fetched files are not as expected ({error})") from None
    return {
        "corpus": entry.name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "pairs": pairs,
        "files": [
            {"name": file.name, "url": file.url, "bytes": got.stat().st_size, "sha256": sha256(got)}
            for file, got in zip(entry.files, files, strict=True)
        ],
    }


def _obtain(entry: Entry, file: RemoteFile, parts: Path, mirror: str | None, progress: Progress) -> Path:
    """Returns the verified file, downloaded or from the mirror folder."""
    if mirror and not mirror.startswith(("http://", "https://")):
        return _from_folder(entry, file, Path(mirror).expanduser())
    url = f"{mirror.rstrip('/')}/{entry.name}/{file.name}" if mirror else file.url
    part = parts / file.name
    task = Download(url, part, file.max_bytes, lambda done, total: progress(file.name, done, total))
    resumed = part.exists()
    download(task)
    if resumed and _mismatch(part, file):
        task.restart()  # the partial file may have been of another version
        download(task)
    if problem := _mismatch(part, file):
        task.restart()
        raise FetchError(f"{url}: {problem}")
    return part


def _from_folder(entry: Entry, file: RemoteFile, mirror: Path) -> Path:
    for path in (mirror / entry.name / file.name, mirror / file.name):
        if not path.is_file():
            continue
        if path.stat().st_size > file.max_bytes:
            raise FetchError(f"{path}: exceeds the limit of {file.max_bytes:,} bytes")
        if problem := _mismatch(path, file):
            raise FetchError(f"{path}: {problem}")
        return path
    raise FetchError(f"{mirror / entry.name / file.name}: there is no such file in the mirror")


def _mismatch(path: Path, file: RemoteFile) -> str | None:
    """Returns the problem if the content does not match its hash, or None."""
    if file.git_blob:
        found = _git_blob(path)
        return None if found == file.git_blob else f"has git blob id {found}, expected {file.git_blob}"
    if file.sha256:
        found = sha256(path)
        return None if found == file.sha256 else f"has SHA-256 {found}, expected {file.sha256}"
    return None


def _git_blob(path: Path) -> str:
    """Returns the git blob id (SHA-1) of a file."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            digest.update(data)
    return digest.hexdigest()


def _remedy(entry: Entry, cache: Path, mirror: str | None) -> str:
    destination = f"the destination is {entry_folder(entry, cache)}"
    if mirror:
        return f"check the mirror {mirror} ({destination})"
    return f"try again, or copy its files to DIR/{entry.name}/ and use --mirror DIR or KOTRANS_MIRROR ({destination})"
