"""Downloads a file over HTTP with a size limit, retries, and resumption of partial downloads."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from kotrans.errors import FetchError
from kotrans.storage.resources import VERSION

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each retry. The retries are counted from 0 again after an attempt that received data."""

_HEADERS = {
    # Some hosts reject clients whose name does not look like a browser's.
    "User-Agent": f"Mozilla/5.0 (compatible; kotrans/{VERSION})",
    # Ranges count transferred bytes, so the transfer must not be compressed.
    "Accept-Encoding": "identity",
}
_TIMEOUT = httpx.Timeout(30.0)
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Download:
    """A download and its partial file, which is kept after a failure so that the next attempt resumes it."""

    url: str
    part: Path
    max_bytes: int
    progress: Callable[[int, int | None], None]
    """Called with the bytes received and the total, None if unknown."""

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def validator(self) -> Path:
        """File with the server's validator (ETag or date) of the partial file; required for resuming."""
        return self.part.with_name(self.part.name + ".validator")

    def restart(self) -> None:
        """Deletes the partial file."""
        self.part.unlink(missing_ok=True)
        self.validator.unlink(missing_ok=True)


class _Retry(Exception):
    """The server is busy, or resuming failed."""


def download(task: Download) -> None:
    """Completes `task.part`. Raises FetchError beginning with the URL."""
    with httpx.Client(headers=_HEADERS, timeout=_TIMEOUT, follow_redirects=True) as client:
        failures = 0
        while True:
            before = task.size
            try:
                return _attempt(client, task)
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects, httpx.ConnectError) as error:
                raise FetchError(f"{task.url}: cannot be reached ({_reason(error)})") from None
            except (httpx.HTTPError, _Retry) as error:
                failures = 1 if task.size > before else failures + 1
                if failures > len(PAUSES):
                    raise FetchError(f"{task.url}: failed {failures} times ({_reason(error)})") from None
                time.sleep(PAUSES[failures - 1])


def _attempt(client: httpx.Client, task: Download) -> None:
    have = task.size
    with client.stream("GET", task.url, headers=_resume_headers(task, have)) as response:
        if response.status_code == 416:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # the partial file is complete
            task.restart()
            raise _Retry("the file has changed on the server")
        if response.status_code in _BUSY:
            raise _Retry(f"HTTP {response.status_code}")
        if response.status_code not in (200, 206):
            raise FetchError(f"{task.url}: the server answers HTTP {response.status_code} {response.reason_phrase}")
        _receive(response, task, have if response.status_code == 206 else 0)


def _resume_headers(task: Download, have: int) -> dict[str, str]:
    if have and task.validator.exists():
        return {"Range": f"bytes={have}-", "If-Range": task.validator.read_text(encoding="ascii")}
    return {}


def _receive(response: httpx.Response, task: Download, start: int) -> None:
    if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        task.restart()
        raise _Retry("the server sent a different part than requested")
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    _check_size(task, total or 0)
    _check_space(task, (total or 0) - start)
    if not start:
        task.restart()
        if validator := _validator(response):
            task.validator.write_text(validator, encoding="ascii")
    done = start
    with task.part.open("ab") as file:
        for chunk in response.iter_bytes():  # unbuffered: a buffer would be lost with the connection
            done += len(chunk)
            _check_size(task, done)
            file.write(chunk)
            task.progress(done, total)


def _validator(response: httpx.Response) -> str | None:
    """Returns the response's strong validator, which If-Range requires, or None."""
    if "Content-Encoding" in response.headers:
        return None
    tag = response.headers.get("ETag", "")
    mark = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    return mark if mark and mark.isascii() else None


def _check_size(task: Download, size: int) -> None:
    if size > task.max_bytes:
        task.restart()
        raise FetchError(f"{task.url}: exceeds the limit of {task.max_bytes:,} bytes")


def _check_space(task: Download, size: int) -> None:
    free = shutil.disk_usage(task.part.parent).free
    if size > free:
        raise FetchError(f"{task.url}: needs {size:,} more bytes, but the disk of {task.part.parent} has only {free:,}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
