"""POST /translate: from the bytes of a request to the bytes of its response."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kotrans.config.sections import ServeConfig
from kotrans.errors import DataError, ModelError
from kotrans.serve.admission import Admission, Admitted
from kotrans.serve.libretranslate import escape, libre_response, split_html
from kotrans.serve.queue import Job, QueueFull, TranslationQueue
from kotrans.serve.requests import RequestError, parse_request, read_body
from kotrans.serve.responses import LineResult, join_lines, response_json
from kotrans.serve.schemas import LibreRequest
from kotrans.text.sentence_splitter import split_lines
from kotrans.translation.translator import Translator

_MAX_RESPONSES = 8  # responses with `max_weights` attention weights that are held at the same time
_CHUNK = 64_000  # bytes of a response that are sent at a time
_SHORT = 1000  # bytes of a request that is handled faster than it could be passed to a thread
_JSON = "application/json"
_RETRY = {"retry-after": "1"}


class TranslationRoute:
    """Handles POST /translate with the translations of a queue."""

    def __init__(self, queue: TranslationQueue, preparing: Translator, model: str, config: ServeConfig) -> None:
        """preparing: prepares lines, see `without_model`. model: its name."""
        self._queue = queue
        self._admission = Admission(preparing, config)
        self._model = model
        self._config = config
        self._weights = 0  # attention weights of all responses that are being built or sent
        self._parsing = asyncio.Semaphore(2)  # bodies parsed at the same time, each in a thread

    async def __call__(self, request: Request) -> Response:
        """Returns the response. Raises RequestError."""
        body = await request.body()
        if len(body) <= _SHORT:
            libre, admitted = self._admit(request, body)
        else:
            async with self._parsing:
                libre, admitted = await asyncio.to_thread(self._admit, request, body)
        release = self._reserve(admitted.weights)
        try:
            job = self._submit(admitted)
            results = await _results(job, request.receive, self._config.max_seconds)
            if len(body) <= _SHORT and not admitted.weights:
                first, rest = self._response(libre, admitted, job, results)
            else:
                first, rest = await asyncio.to_thread(self._response, libre, admitted, job, results)
            if rest is not None:
                return _ReleasingResponse(chain([first], rest), release)
        except BaseException:
            release()
            raise
        release()
        return Response(first, media_type=_JSON)

    def _admit(self, request: Request, body: bytes) -> tuple[LibreRequest | None, Admitted]:
        parsed, libre = parse_request(read_body(request.headers, request.url.query, body), self._config.max_sentences)
        split = split_html if libre and libre.format == "html" else split_lines
        return libre, self._admission.admit(parsed, [split(text) for text in parsed.texts])

    def _reserve(self, weights: int) -> Callable[[], None]:
        """Reserves memory for the attention weights of a response, and returns the function that releases it."""
        if self._weights and self._weights + weights > _MAX_RESPONSES * self._config.max_weights:
            raise RequestError(503, "too many responses with attention weights at once; retry later", _RETRY)
        self._weights += weights
        reserved = [weights]

        def release() -> None:
            self._weights -= reserved.pop() if reserved else 0

        return release

    def _submit(self, admitted: Admitted) -> Job:
        try:
            return self._queue.submit(admitted.lines, admitted.beam, admitted.n_best, admitted.with_attention)
        except QueueFull as full:
            raise RequestError(503, str(full), _RETRY) from None

    def _response(
        self, libre: LibreRequest | None, admitted: Admitted, job: Job, results: Sequence[LineResult]
    ) -> tuple[bytes, Iterator[bytes] | None]:
        """Returns the first chunk of the JSON, and the other chunks if there are any, built while they are sent."""
        lines = iter(results)
        finish = escape if libre is not None and libre.format == "html" else str
        texts = [join_lines(text, lines, finish) for text in admitted.texts]
        if libre is not None:
            return libre_response(libre, texts).model_dump_json(exclude_none=True).encode(), None
        chunks = _chunked(response_json(texts, {
            "model": self._model, "beam": admitted.beam,
            "waited_seconds": round(job.started - job.created, 6),
            "translated_seconds": round(job.ended - job.started, 6),
        }))  # fmt: skip
        first, *more = islice(chunks, 2)
        return first, chain(more, chunks) if more else None


class _ReleasingResponse(StreamingResponse):
    """A chunked response that calls `release` when it has been sent or has failed."""

    def __init__(self, chunks: Iterator[bytes], release: Callable[[], None]) -> None:
        super().__init__(chunks, media_type=_JSON)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


def _chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


async def _results(job: Job, receive: Receive, max_seconds: float) -> list[LineResult]:
    """Waits for the results; cancels the job if the client disconnects or the time limit is reached."""
    done = asyncio.wrap_future(job.done)
    disconnected = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        either: set[asyncio.Future[Any]] = {done, disconnected}
        await asyncio.wait(either, timeout=max_seconds, return_when=asyncio.FIRST_COMPLETED)
        with _search_errors():
            if done.done():
                return done.result()
        if disconnected.done():
            raise RequestError(408, "client disconnected")  # for the metrics only
        raise RequestError(504, f"not translated within {max_seconds:g} s; send fewer sentences or use a smaller beam")
    finally:
        disconnected.cancel()
        done.cancel()


@contextmanager
def _search_errors() -> Iterator[None]:
    """Turns errors of the search into RequestError."""
    try:
        yield
    except ModelError as error:
        raise RequestError(500, str(error)) from None
    except DataError as error:
        raise RequestError(503, str(error), _RETRY) from None
    except MemoryError:
        raise RequestError(
            503, "out of memory; send fewer sentences, use a smaller beam, or start the service with a lower "
            "search.batch", _RETRY,
        ) from None  # fmt: skip


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
