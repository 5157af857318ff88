"""Metrics of the service for Prometheus."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATHS = ("/", "/translate", "/detect", "/languages", "/health", "/metrics", "/openapi.json")


class Metrics:
    """Counters of requests and batches."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """waiting: returns the number of sentences in the queue."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "kotrans_requests", "Requests by path and status; status 0 is a client that disconnected.",
            ["path", "status"], registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "kotrans_request_seconds", "Time from the header of a request to the end of its response.", ["path"],
            registry=self._registry,
        )  # fmt: skip
        self._batches = Histogram(
            "kotrans_batch_sentences", "Sentences translated together in one round of search steps.",
            buckets=[2**n for n in range(11)], registry=self._registry,
        )  # fmt: skip
        self._translating = Counter(
            "kotrans_translating_seconds", "Time spent translating, over all workers.", registry=self._registry
        )
        Gauge("kotrans_waiting_sentences", "Sentences in the queue.", registry=self._registry).set_function(waiting)

    def add_batch(self, sentences: int, seconds: float) -> None:
        """Counts a batch. Thread-safe."""
        self._batches.observe(sentences)
        self._translating.inc(seconds)

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request; unknown paths are counted together."""
        path = path if path in _PATHS else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Returns all metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class CountingMiddleware:
    """ASGI middleware that counts requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on the request, and counts it with its status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def send_and_record(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_record)
        finally:
            self._metrics.add_request(scope["path"], status, time.monotonic() - began)
