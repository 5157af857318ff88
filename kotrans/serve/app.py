"""The application: requests in, answers out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive

import kotrans
from kotrans.assembly import Translation
from kotrans.config.config import SearchConfig
from kotrans.config.serving import ServeConfig
from kotrans.errors import DataError, ModelError
from kotrans.serve.answers import answer
from kotrans.serve.batcher import Batcher, Full, Job
from kotrans.serve.counters import Counted, Counters
from kotrans.serve.guard import Guard, Refused
from kotrans.serve.messages import Health, Problem, TranslateRequest, TranslateResponse
from kotrans.serve.page import load_page
from kotrans.serve.translating import Translating

_STATUSES = {
    400: "The body cannot be read as JSON.",
    401: "The token is missing or wrong.",
    403: "The `Host` header names another machine.",
    408: "The request came too slowly.",
    413: "The body is too large.",
    422: "The request asks for what is not there, or for too much.",
    500: "A fault of the service.",
    503: "Too many sentences wait, or a process was killed; `Retry-After` says for how many seconds to wait.",
    504: "The translation took too long.",
}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_PROBLEMS_TOLD = 3  # of a body that may have as many as it has bytes
_ANYWHERE = (403, 408, 413, 500)  # and 401 where a token is needed


def build_app(
    start: Callable[[], Translating], model: str, search: SearchConfig, config: ServeConfig,
    *, threads: int, token: str | None, local: bool,
) -> ASGIApp:  # fmt: skip
    """The service of a model of this name, which so many threads start. See Guard for `token` and `local`."""
    counters = Counters(lambda: batcher.waiting)
    batcher = Batcher(
        start, threads=threads, size=search.batch, max_waiting=config.max_waiting, on_batch=counters.add_batch
    )

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        with batcher:
            yield

    app = FastAPI(
        title="kotrans", version=kotrans.__version__, lifespan=running, docs_url=None, redoc_url=None,
        description=f"Korean to English. {_limits(config)}",
    )  # fmt: skip
    _answer_in_json(app)
    _add_pages(app, counters, Health(
        status="ok", model=model, version=kotrans.__version__, beam=search.beam, max_beam=config.max_beam
    ), secured=token is not None)  # fmt: skip

    @app.post(
        "/translate",
        dependencies=_secured(token is not None),
        responses=_problems(400, 422, 503, 504, secured=token is not None),
    )
    async def translate(asked: TranslateRequest, request: Request) -> TranslateResponse:
        """Translate a sentence, or several."""
        lines, beam = _check(asked, search.beam, config)
        job = _submit(batcher, lines, beam, asked.n_best)
        translations = await _result(job, request.receive, config.max_seconds)
        # In a thread: of long sentences the weights are many, and others wait for this one.
        return await asyncio.to_thread(answer, translations, job, model, attention=asked.attention)

    return Counted(Guard(app, config, token=token, local=local), counters)


def _limits(config: ServeConfig) -> str:
    return (
        f"A request has at most {config.max_body:,} bytes and {config.most_sentences:,} sentences of at most "
        f"{config.max_characters:,} characters, and a beam of at most {config.max_beam}."
    )


def _problems(*statuses: int, secured: bool = False) -> dict[int | str, dict[str, Any]]:
    """The answers without what was asked for, for the OpenAPI document: these, and those that any request may get."""
    possible = sorted({*statuses, *_ANYWHERE, *([401] if secured else [])})
    return {status: {"description": _STATUSES[status], "model": Problem} for status in possible}


def _secured(needs_token: bool) -> list[Any]:
    """For the OpenAPI document; it is the guard that checks."""
    return [Security(HTTPBearer(auto_error=False))] if needs_token else []


def _add_pages(app: FastAPI, counters: Counters, health: Health, *, secured: bool) -> None:
    page = load_page()

    @app.get("/", response_class=HTMLResponse, responses=_problems())
    async def page_of_the_service() -> HTMLResponse:
        """The page for people."""
        return HTMLResponse(page.html, headers={"content-security-policy": page.policy, "cache-control": "no-cache"})

    @app.get("/health", responses=_problems())
    async def health_of_the_service() -> Health:
        """Whether it works, and with what model."""
        return health

    described = _problems(secured=secured) | {200: {"content": {_PROMETHEUS: {}}}}

    @app.get("/metrics", response_class=Response, dependencies=_secured(secured), responses=described)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(counters.text(), media_type=_PROMETHEUS)


def _answer_in_json(app: FastAPI) -> None:
    """Whatever goes wrong is told in one line."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        return Refused(
            error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers
        ).response()

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        problems = error.errors()
        told = [_told(each) for each in problems[:_PROBLEMS_TOLD]]
        more = [f"and {len(problems) - len(told):,} more"] if len(problems) > len(told) else []
        return Refused(422, "; ".join(told + more)).response()

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return Refused(500, f"a fault of the service ({type(error).__name__}); its log says more").response()


def _told(problem: Mapping[str, Any]) -> str:
    """A problem of validation in one line."""
    _, *where = (str(part) for part in problem["loc"])  # all of them are in the body
    if problem["type"] == "json_invalid":
        return f"body: not JSON ({problem['ctx']['error']} at character {where[0]}); mend it"
    message = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{'.'.join(where) or 'body'}: {message[0].lower()}{message[1:]}"


def _check(asked: TranslateRequest, beam: int, config: ServeConfig) -> tuple[Sequence[str], int]:
    """The sentences and the beam. Raises Refused if it is more than the limits allow."""
    lines = [asked.text] if isinstance(asked.text, str) else asked.text
    beam = asked.beam if asked.beam is not None else max(beam, min(asked.n_best, config.max_beam))
    if len(lines) > config.most_sentences:
        most = f"at most {config.most_sentences} are taken"
        raise Refused(422, f"text: {len(lines)} sentences, but {most}; send fewer")
    for number, line in enumerate(lines, start=1):
        if len(line) > config.max_characters:
            raise Refused(
                422, f"sentence {number}: {len(line)} characters, but at most {config.max_characters} are taken; cut it"
            )
    if asked.beam is not None and asked.beam > config.max_beam:
        raise Refused(422, f"beam: {asked.beam}, but at most {config.max_beam} is taken; ask for less")
    if asked.n_best > beam:
        raise Refused(422, f"n_best: {asked.n_best} translations of a beam of {beam}; ask for fewer, or a larger beam")
    return lines, beam


def _submit(batcher: Batcher, lines: Sequence[str], beam: int, n_best: int) -> Job:
    try:
        return batcher.submit(lines, beam, n_best)
    except Full as full:
        raise Refused(503, str(full), {"retry-after": "1"}) from None


async def _result(job: Job, receive: Receive, most_seconds: float) -> list[Translation]:
    """The translations, unless the client leaves or it takes too long: then the job is cancelled."""
    done = asyncio.wrap_future(job.done)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        either: set[asyncio.Future[Any]] = {done, gone}
        await asyncio.wait(either, timeout=most_seconds, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            return done.result()
        if gone.done():
            raise Refused(408, "the client left")  # nobody reads this
        raise Refused(504, f"not translated within {most_seconds:g} seconds; send fewer sentences or a smaller beam")
    except ModelError as error:
        raise Refused(422, str(error)) from None
    except DataError as error:
        raise Refused(503, str(error), {"retry-after": "1"}) from None
    finally:
        gone.cancel()
        done.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
