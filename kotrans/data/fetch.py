"""Fetches listed corpora into a cache: verified, atomic, and with untrusted archives unpacked safely.

A mirror is a URL or a folder with the files at MIRROR/<corpus>/<file>; a folder may also hold them directly.
"""

import logging
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from kotrans.data.download import Download, download
from kotrans.data.formats.reading import stream_pairs
from kotrans.data.registry import Entry, RemoteFile
from kotrans.data.unpack import unpack
from kotrans.data.verification import FirstHashes, Mismatch, mismatch, tree_mismatch
from kotrans.errors import DataError, FetchError
from kotrans.storage import resources
from kotrans.storage.files import new_directory, sha256, write_json

Progress = Callable[[str, int, int | None], None]
"""Called with a file name, the bytes received and the total, None if unknown."""

RECORD = "fetched.json"
"""Name of the file that describes a fetched corpus."""

logger = logging.getLogger(__name__)

_NO_ACCESS = re.compile(r"answers HTTP 40[13]\b")
_MAX_EXPANSION = 20  # limit of the unpacked size, in multiples of the archive's limit


def cache_folder() -> Path:
    """Returns the folder of fetched corpora: KOTRANS_CACHE, or the platform's cache folder."""
    named = os.environ.get("KOTRANS_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("kotrans", appauthor=False)


def default_mirror() -> str | None:
    """Returns KOTRANS_MIRROR, or None if it is not set."""
    return os.environ.get("KOTRANS_MIRROR") or None


def entry_folder(entry: Entry, cache: Path) -> Path:
    """Returns the folder of an entry's files, whether it exists or not."""
    return resources.starter() if entry.bundled else cache / f"{entry.folder_name}-{entry.key}"


def fetch(
    entry: Entry,
    *,
    cache: Path,
    mirror: str | None = None,
    progress: Progress | None = None,
    accept_changed: bool = False,
) -> Path:
    """Returns the folder of an entry's files; fetches them if missing.

    accept_changed: take files whose hash differs from the expected one. Raises FetchError if a file cannot be fetched
    or does not match the registry. Partial downloads are kept, and so are complete ones with another hash.
    """
    folder = entry_folder(entry, cache)
    if entry.bundled or folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{folder.name}.lock"):  # another process may be fetching the same
            if not folder.is_dir():
                _Fetch(entry, folder, mirror, progress or (lambda name, done, total: None), accept_changed).run()
    except FetchError as error:
        raise FetchError(f"{error}; {_remedy(entry, cache, mirror, str(error))}") from None
    except OSError as error:
        where, reason = error.filename or cache, error.strerror or error
        raise FetchError(f"{where}: {reason}; the cache is {cache}; set KOTRANS_CACHE to use another folder") from None
    return folder


class _Fetch:
    """One attempt to fetch a corpus."""

    def __init__(
        self, entry: Entry, folder: Path, mirror: str | None, progress: Progress, accept_changed: bool
    ) -> None:
        self._entry, self._folder, self._mirror = entry, folder, mirror
        self._progress, self._accept_changed = progress, accept_changed
        self._parts = folder.with_name(f".{folder.name}.part")
        self._first = FirstHashes(folder.with_name(f"{folder.name}.hashes.json"))

    def run(self) -> None:
        """Downloads, checks and unpacks all files, and moves the folder to its place."""
        if self._entry.remark:
            logger.warning("%s (%s): %s", self._entry.name, self._entry.licence, self._entry.remark)
        self._parts.mkdir(exist_ok=True)
        files = [(file, self._obtained(file)) for file in self._entry.downloads]
        try:
            with new_directory(self._folder) as scratch:
                for file, got in files:
                    self._store(file, got, scratch)
                write_json(scratch / RECORD, _record(self._entry, scratch, files))
        except _Changed:
            raise
        except FetchError:
            shutil.rmtree(self._parts)  # otherwise the next attempt would reuse the invalid files
            raise
        self._first.record(files)
        shutil.rmtree(self._parts)

    def _store(self, file: RemoteFile, got: Path, scratch: Path) -> None:
        if not file.unpack:
            shutil.copyfile(got, scratch / file.name)
            return
        most = _MAX_EXPANSION * file.max_bytes
        unpack(got, file.unpack, scratch, most, members=file.members, top_folder=file.top_folder)
        self._check(tree_mismatch(scratch, file), file.url, got)

    def _obtained(self, file: RemoteFile) -> Path:
        """Returns the verified file, downloaded or from the mirror folder."""
        mirror = self._mirror
        if mirror and not mirror.startswith(("http://", "https://")):
            path = _in_mirror(self._entry, file, Path(mirror).expanduser())
            self._check(self._mismatch(path, file), str(path), path)
            return path
        url = f"{mirror.rstrip('/')}/{self._entry.folder_name}/{file.name}" if mirror else file.url
        aside = self._parts / f"{file.name}.changed"
        if self._accept_changed and aside.exists():
            return aside
        return self._downloaded(file, url, aside)

    def _downloaded(self, file: RemoteFile, url: str, aside: Path) -> Path:
        part = self._parts / file.name
        task = Download(url, part, file.max_bytes, lambda done, total: self._progress(file.name, done, total))
        resumed = part.exists()
        download(task)
        if resumed and self._mismatch(part, file):
            task.restart()  # the partial file may have been of another version
            download(task)
        if (problem := self._mismatch(part, file)) and not self._accept_changed:
            os.replace(part, aside)
            task.restart()
            self._check(problem, url, aside)
        return part

    def _mismatch(self, path: Path, file: RemoteFile) -> Mismatch | None:
        return mismatch(path, file, self._first[file.name])

    def _check(self, problem: Mismatch | None, where: str, kept: Path) -> None:
        if problem and not self._accept_changed:
            raise _Changed(
                f"{where}: {problem}; the file is kept as {kept}; if it was changed on purpose, use "
                f"`kotrans fetch {self._entry.name} --accept-changed`"
            )


class _Changed(FetchError):
    """A complete file whose content is not the expected one."""


def _record(entry: Entry, folder: Path, files: list[tuple[RemoteFile, Path]]) -> dict[str, Any]:
    """Returns the date, hashes and pair counts of the fetched files, which identify unversioned upstream data."""
    pairs: dict[str, int] = {}
    try:
        if fields := entry.fields:
            for split, named in entry.files_of_splits(folder).items():
                pairs[split] = sum(1 for each in named for _ in stream_pairs(each, entry.format, fields))
    except DataError as error:
        raise FetchError(f"{entry.name}: the fetched files are not as expected ({error})") from None
    return {
        "corpus": entry.name,
        "licence": entry.licence,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "pairs": pairs,
        "files": [
            {"name": file.name, "url": file.url, "bytes": got.stat().st_size, "sha256": sha256(got)}
            for file, got in files
        ],
    }


def _in_mirror(entry: Entry, file: RemoteFile, mirror: Path) -> Path:
    for path in (mirror / entry.folder_name / file.name, mirror / file.name):
        if not path.is_file():
            continue
        if path.stat().st_size > file.max_bytes:
            raise FetchError(f"{path}: exceeds the limit of {file.max_bytes:,} bytes")
        return path
    raise FetchError(f"{mirror / entry.folder_name / file.name}: there is no such file in the mirror")


def _remedy(entry: Entry, cache: Path, mirror: str | None, problem: str) -> str:
    destination = f"the destination is {entry_folder(entry, cache)}"
    if _NO_ACCESS.search(problem):
        return f"open {entry.homepage} in a browser, download its files there, and use them as files of your own"
    if mirror:
        return f"check the mirror {mirror} ({destination})"
    inside = f"DIR/{entry.folder_name}/"
    return f"try again, or copy its files to {inside} and use --mirror DIR or KOTRANS_MIRROR ({destination})"
