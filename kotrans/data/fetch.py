"""Listed corpora, fetched on demand into a cache: verified, and there wholly or not at all.

A mirror, a folder or a URL, has each file as MIRROR/<corpus>/<file>; a folder may also have it directly in it.

Archives opened without trusting them: no path outside, no links, no bombs.
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

_MAX_MEMBERS = 1000
_UNPACKED_BLOCK = 2**20  # bytes
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
        for _ in range(max_bytes // _UNPACKED_BLOCK + 1):
            if rest is None or not rest.read(_UNPACKED_BLOCK):
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


Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes there are, and all there will be if that is known."""

RECORD = "fetched.json"
_BLOCK = 2**20  # bytes of a file that are hashed at once
_MOST_EXPANSION = 20  # times that an archive's largest permitted size may grow by unpacking


def cache_folder() -> Path:
    """Where fetched corpora are kept: KOTRANS_CACHE, or the platform's place for caches."""
    named = os.environ.get("KOTRANS_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("kotrans", appauthor=False)


def default_mirror() -> str | None:
    """KOTRANS_MIRROR, if it is set."""
    return os.environ.get("KOTRANS_MIRROR") or None


def entry_folder(entry: Entry, cache: Path) -> Path:
    """Where the entry's files lie, once they are there."""
    return resources.starter() if entry.bundled else cache / f"{entry.name}-{entry.key}"


def fetch(entry: Entry, *, cache: Path, mirror: str | None = None, progress: Progress | None = None) -> Path:
    """The folder with the entry's files, which are fetched if they are missing.

    Raises FetchError if they cannot be had or are not what the registry says; what came so far is kept for next time.
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
        raise FetchError(f"{where}: {reason}; the cache is {cache}, and KOTRANS_CACHE names another place") from None
    return folder


def _fetch_all(entry: Entry, folder: Path, mirror: str | None, progress: Progress) -> None:
    parts = folder.with_name(f".{folder.name}.part")
    parts.mkdir(exist_ok=True)
    files = [_obtain(entry, file, parts, mirror, progress) for file in entry.files]
    try:
        with new_directory(folder) as scratch:
            for file, got in zip(entry.files, files, strict=True):
                if file.unpack:
                    unpack(got, file.unpack, scratch, _MOST_EXPANSION * file.max_bytes)
                else:
                    shutil.copyfile(got, scratch / file.name)
            write_json(scratch / RECORD, _record(entry, scratch, files))
    except FetchError:
        shutil.rmtree(parts)  # else the next try would go on from a whole file that is no good
        raise
    shutil.rmtree(parts)


def _record(entry: Entry, folder: Path, files: list[Path]) -> dict[str, Any]:
    """What came, and when: all there is to tell one version from another where upstream has none."""
    splits = entry.files_of_splits(folder).items()
    try:
        pairs = {split: sum(1 for _ in stream_pairs(named, entry.format, entry.fields)) for split, named in splits}
    except DataError as error:
        raise FetchError(f"{entry.name}: what came is not what was expected ({error})") from None
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
    """The verified file, downloaded or in the mirror's folder."""
    if mirror and not mirror.startswith(("http://", "https://")):
        return _from_folder(entry, file, Path(mirror).expanduser())
    url = f"{mirror.rstrip('/')}/{entry.name}/{file.name}" if mirror else file.url
    part = parts / file.name
    task = Download(url, part, file.max_bytes, lambda done, total: progress(file.name, done, total))
    resumed = part.exists()
    download(task)
    if resumed and _mismatch(part, file):
        task.restart()  # the earlier half may have been of another version
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
            raise FetchError(f"{path}: is larger than the {file.max_bytes:,} bytes it may have")
        if problem := _mismatch(path, file):
            raise FetchError(f"{path}: {problem}")
        return path
    raise FetchError(f"{mirror / entry.name / file.name}: there is no such file in the mirror")


def _mismatch(path: Path, file: RemoteFile) -> str | None:
    """What is wrong with the content, if anything."""
    if file.git_blob:
        found = _git_blob(path)
        return None if found == file.git_blob else f"has git blob id {found}, but must have {file.git_blob}"
    if file.sha256:
        found = sha256(path)
        return None if found == file.sha256 else f"has SHA-256 {found}, but must have {file.sha256}"
    return None


def _git_blob(path: Path) -> str:
    """The SHA-1 by which git names the file's content, which is never in memory as a whole."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            digest.update(data)
    return digest.hexdigest()


def _remedy(entry: Entry, cache: Path, mirror: str | None) -> str:
    places = f"{entry_folder(entry, cache)} is where it goes"
    if mirror:
        return f"check the mirror {mirror} ({places})"
    return (
        f"try again, or put its files by hand in DIR/{entry.name}/ and give --mirror DIR, or KOTRANS_MIRROR ({places})"
    )
