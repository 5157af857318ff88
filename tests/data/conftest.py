"""A local web server with configurable faults."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kotrans.data import download


class Site:
    """The files of the server, its faults, and the requests it received."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.breaks: list[int] = []  # after how many bytes to hang up, answer by answer
        self.busy = 0  # answers of 503 before it serves
        self.ranges = True
        self.lengths = True
        self.shift = 0  # offset added once to the requested range
        self.compressed = False
        self.tag: str | None = '"one"'
        self.status: int | None = None  # of every answer, if set
        self.moved: dict[str, str] = {}  # paths and where they redirect to
        self.requests: list[tuple[str, str | None]] = []  # path and Range


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers["Range"]
        site.requests.append((self.path, wanted))
        data = site.files.get(self.path)
        if site.status is not None:
            self.send_error(site.status)
            return
        if (target := site.moved.get(self.path)) is not None:
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if site.busy or data is None:
            site.busy = max(0, site.busy - 1)
            self.send_error(404 if data is None else 503)
            return
        start = 0
        if wanted and site.ranges and self.headers["If-Range"] == site.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) + site.shift
            site.shift = 0
        if start and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if site.compressed:
            data = gzip.compress(data)
            self.send_header("Content-Encoding", "gzip")
        if site.tag:
            self.send_header("ETag", site.tag)
        if site.lengths:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: site.breaks.pop(0) if site.breaks else None])

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the tests quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0, 0.0))
    served = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": served}))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
