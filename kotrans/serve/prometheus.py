"""What Prometheus may ask of the service."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/", "/translate", "/detect", "/languages", "/health", "/metrics", "/openapi.json")


class Metrics:
    """Counts requests and batches."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """waiting: the sentences that wait now."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "kotrans_requests", "Requests by path and status; 0 is a client that left.", ["path", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "kotrans_request_seconds", "From the head of a request to the end of its answer.", ["path"],
            registry=self._registry,
        )  # fmt: skip
        self._batches = Histogram(
            "kotrans_batch_sentences", "Sentences translated together, for some steps.",
            buckets=[2**n for n in range(11)], registry=self._registry,
        )  # fmt: skip
        self._translating = Counter(
            "kotrans_translating_seconds", "Time in which the model worked.", registry=self._registry
        )
        Gauge("kotrans_waiting_sentences", "Sentences that wait.", registry=self._registry).set_function(waiting)

    def add_batch(self, sentences: int, seconds: float) -> None:
        """Counts a batch; any thread may call it."""
        self._batches.observe(sentences)
        self._translating.inc(seconds)

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request; paths that are not the service's are counted together."""
        path = path if path in PATHS else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)


class CountingMiddleware:
    """An application whose requests are counted."""

    def __init__(self, app: ASGIApp, counters: Metrics) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._counters.add_request(scope["path"], status, time.monotonic() - began)
