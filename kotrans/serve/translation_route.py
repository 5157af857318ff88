"""POST /translate: from the bytes of a request to the bytes of its answer."""

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
from kotrans.serve.libretranslate import escaped, libre_response, split_html
from kotrans.serve.queue import QueueFull, TranslationQueue
from kotrans.serve.requests import ParsedRequest, Refused, read_body, read_question
from kotrans.serve.responses import LineResult, join_lines, response_json
from kotrans.serve.worker import Job
from kotrans.text.sentence_splitter import split_lines
from kotrans.translation.translator import BatchTranslator

_ANSWERS_HELD = 8  # answers with as many attention weights as are allowed, at the same time
_STREAMED = 64_000  # bytes of an answer that are sent at a time
_SHORT = 1000  # bytes of a request that takes no longer than handing it to a thread would
_JSON = "application/json"
_AGAIN = {"retry-after": "1"}


class TranslationRoute:
    """Answers requests with what a batcher translates."""

    def __init__(self, batcher: TranslationQueue, preparing: BatchTranslator, model: str, config: ServeConfig) -> None:
        """preparing: cuts texts, see `without_model`. model: its name."""
        self._batcher = batcher
        self._admission = Admission(preparing, config)
        self._model = model
        self._config = config
        self._weights = 0  # attention weights of all answers that are being made or sent
        self._reading = asyncio.Semaphore(2)  # bodies that are parsed at the same time, each in a thread

    async def __call__(self, request: Request) -> Response:
        """The answer. Raises Refused."""
        body = await request.body()
        if len(body) <= _SHORT:
            question, admitted = self._read(request, body)
        else:
            async with self._reading:
                question, admitted = await asyncio.to_thread(self._read, request, body)
        release = self._hold(admitted.weights)
        try:
            job = self._submit(admitted, question.with_attention)
            found = await _result(job, request.receive, self._config.max_seconds)
            if len(body) <= _SHORT and not admitted.weights:
                first, rest = self._answered(question, admitted, job, found)
            else:
                first, rest = await asyncio.to_thread(self._answered, question, admitted, job, found)
            if rest is not None:
                return _Releasing(chain([first], rest), release)
        except BaseException:
            release()
            raise
        release()
        return Response(first, media_type=_JSON)

    def _read(self, request: Request, body: bytes) -> tuple[ParsedRequest, Admitted]:
        question = read_question(read_body(request.headers, request.url.query, body), self._config.max_sentences)
        split = split_html if question.libre and question.libre.format == "html" else split_lines
        return question, self._admission.admit(question, [split(text) for text in question.texts])

    def _hold(self, weights: int) -> Callable[[], None]:
        """Counts the attention weights of an answer until the function that is returned is called."""
        if self._weights and self._weights + weights > _ANSWERS_HELD * self._config.max_weights:
            raise Refused(503, "too many answers with attention are being made; ask again in a moment", _AGAIN)
        self._weights += weights
        held = [weights]

        def release() -> None:
            self._weights -= held.pop() if held else 0

        return release

    def _submit(self, admitted: Admitted, attention: int) -> Job:
        try:
            return self._batcher.submit(admitted.lines, admitted.beam, admitted.n_best, attention)
        except QueueFull as full:
            raise Refused(503, str(full), _AGAIN) from None

    def _answered(
        self, question: ParsedRequest, admitted: Admitted, job: Job, found: Sequence[LineResult]
    ) -> tuple[bytes, Iterator[bytes] | None]:
        """The JSON of the answer: its first chunk, and others, if there are any, which are made when they are sent."""
        lines = iter(found)
        html = question.libre is not None and question.libre.format == "html"
        texts = [join_lines(text, lines, escaped if html else str) for text in admitted.texts]
        if question.libre is not None:
            return libre_response(question.libre, texts).model_dump_json(exclude_none=True).encode(), None
        chunks = _in_chunks(response_json(texts, {
            "model": self._model, "beam": admitted.beam,
            "waited_seconds": round(job.started - job.created, 6),
            "translated_seconds": round(job.ended - job.started, 6),
        }))  # fmt: skip
        first, *more = islice(chunks, 2)
        return first, chain(more, chunks) if more else None


class _Releasing(StreamingResponse):
    """An answer in chunks that says when it has been sent, or cannot be."""

    def __init__(self, chunks: Iterator[bytes], release: Callable[[], None]) -> None:
        super().__init__(chunks, media_type=_JSON)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= _STREAMED:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


async def _result(job: Job, receive: Receive, most_seconds: float) -> list[LineResult]:
    """The translations, unless the client leaves or it takes too long: then the job is cancelled."""
    done = asyncio.wrap_future(job.done)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        either: set[asyncio.Future[Any]] = {done, gone}
        await asyncio.wait(either, timeout=most_seconds, return_when=asyncio.FIRST_COMPLETED)
        with _told():
            if done.done():
                return done.result()
        if gone.done():
            raise Refused(408, "the client left")  # nobody reads this
        raise Refused(504, f"not translated within {most_seconds:g} seconds; send fewer sentences or a smaller beam")
    finally:
        gone.cancel()
        done.cancel()


@contextmanager
def _told() -> Iterator[None]:
    """What may go wrong in a search, as an answer."""
    try:
        yield
    except ModelError as error:
        raise Refused(500, str(error)) from None
    except DataError as error:
        raise Refused(503, str(error), _AGAIN) from None
    except MemoryError:
        raise Refused(
            503, "out of memory; send fewer sentences, ask for a smaller beam, or start the service with a lower "
            "search.batch", _AGAIN,
        ) from None  # fmt: skip


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
