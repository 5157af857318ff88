"""One file over HTTP: of bounded size, resumed where it stopped, tried again when the connection breaks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from kotrans.errors import FetchError
from kotrans.storage.resources import VERSION

PAUSES = (0.5, 1.0, 2.0)  # seconds before each further try

_HEADERS = {
    # Some hosts turn away clients that do not name themselves like a browser.
    "User-Agent": f"Mozilla/5.0 (compatible; kotrans/{VERSION})",
    # Ranges count bytes as they are sent, so nothing may be compressed on the way.
    "Accept-Encoding": "identity",
}
_TIMEOUT = httpx.Timeout(30.0)
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Download:
    """What to get and where it grows; `part` stays after a failure, so that the next try goes on from there."""

    url: str
    part: Path
    max_bytes: int
    progress: Callable[[int, int | None], None]
    """Called with the bytes there are and, if the server says, all there will be."""

    @property
    def validator(self) -> Path:
        """Beside the part: the server's mark of the version it belongs to, without which it cannot be resumed."""
        return self.part.with_name(self.part.name + ".validator")

    def restart(self) -> None:
        """Forgets what came so far."""
        self.part.unlink(missing_ok=True)
        self.validator.unlink(missing_ok=True)


class _TryAgain(Exception):
    """The server is busy, or a resume did not work out."""


def download(task: Download) -> None:
    """Makes `task.part` the whole file. Raises FetchError beginning with the URL."""
    with httpx.Client(headers=_HEADERS, timeout=_TIMEOUT, follow_redirects=True) as client:
        for pause in (*PAUSES, None):
            try:
                return _try_once(client, task)
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects, httpx.ConnectError) as error:
                raise FetchError(f"{task.url}: cannot be reached ({_reason(error)})") from None
            except (httpx.HTTPError, _TryAgain) as error:
                if pause is None:
                    raise FetchError(f"{task.url}: broke off {len(PAUSES) + 1} times ({_reason(error)})") from None
                time.sleep(pause)


def _try_once(client: httpx.Client, task: Download) -> None:
    have = task.part.stat().st_size if task.part.exists() else 0
    with client.stream("GET", task.url, headers=_resume_headers(task, have)) as response:
        if response.status_code == 416:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it had come before
            task.restart()
            raise _TryAgain("the server has another version now")
        if response.status_code in _BUSY:
            raise _TryAgain(f"HTTP {response.status_code}")
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
        raise _TryAgain("the server sent another part than asked for")
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    _check_size(task, total or 0)
    if not start:
        task.restart()
        if validator := _validator(response):
            task.validator.write_text(validator, encoding="ascii")
    done = start
    with task.part.open("ab") as file:
        for chunk in response.iter_bytes():  # as they come: gathered ones would be lost when it breaks off
            done += len(chunk)
            _check_size(task, done)
            file.write(chunk)
            task.progress(done, total)


def _validator(response: httpx.Response) -> str | None:
    """The version's strong mark, as If-Range needs it; a resumed part must be bytes of the very same file."""
    if "Content-Encoding" in response.headers:
        return None
    tag = response.headers.get("ETag", "")
    mark = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    return mark if mark and mark.isascii() else None


def _check_size(task: Download, size: int) -> None:
    if size > task.max_bytes:
        task.restart()
        raise FetchError(f"{task.url}: is larger than the {task.max_bytes:,} bytes it may have")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
