"""The FastAPI application: routes, error handlers, and the page with its Content-Security-Policy."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from kotrans.config.schema import SearchConfig
from kotrans.config.sections import ServeConfig
from kotrans.serve.libretranslate import LANGUAGES, detect
from kotrans.serve.middleware import RequestGuard
from kotrans.serve.prometheus import CountingMiddleware, Metrics
from kotrans.serve.queue import TranslationQueue
from kotrans.serve.requests import RequestError, parse_libre_request, quote, read_body
from kotrans.serve.schemas import (
    Detected,
    Health,
    Language,
    LibreResponse,
    TranslateResponse,
    add_request_schemas,
    describe_limits,
    error_responses,
    request_body,
    token_security,
)
from kotrans.serve.server import limit_accept_errors
from kotrans.serve.translation_route import TranslationRoute
from kotrans.serve.worker import TranslationWorker
from kotrans.storage.resources import VERSION
from kotrans.translation.translator import Translator

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_INLINE = {
    "script": re.compile(r"<script>(.*?)</script>", re.DOTALL),
    "style": re.compile(r"<style>(.*?)</style>", re.DOTALL),
}


class Page(NamedTuple):
    """An HTML page and its Content-Security-Policy."""

    html: str
    policy: str


def load_page() -> Page:
    """Loads the page; its policy allows only the inline script and style of the page."""
    html = Path(__file__).with_name("page.html").read_text("utf-8")
    sources = "; ".join(f"{kind}-src {_hashes(kind, html)}" for kind in _INLINE)
    return Page(
        html,
        f"default-src 'none'; {sources}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _hashes(kind: str, html: str) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in _INLINE[kind].findall(html))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def build_app(
    start: Callable[[], TranslationWorker], preparing: Translator, model: str, config: ServeConfig,
    *, threads: int, token: str | None, hosts: frozenset[str] | None, on_ready: Callable[[], None] = lambda: None,
) -> ASGIApp:  # fmt: skip
    """Builds the service of a model.

    start: starts a worker; called in each of `threads` threads. preparing: prepares lines, see `without_model`.
    model: name of the model. token, hosts: see RequestGuard. on_ready: called when all workers have loaded the model.
    """
    search: SearchConfig = preparing.config
    counters = Metrics(lambda: queue.waiting)
    queue = TranslationQueue(
        start, threads=threads, size=search.batch, max_waiting=config.max_waiting, on_batch=counters.add_batch,
        on_ready=on_ready,
    )  # fmt: skip

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limit_accept_errors(asyncio.get_running_loop())
        with queue:
            yield

    app = FastAPI(
        title="kotrans", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None,
        description=f"Korean to English. {describe_limits(config)}",
    )  # fmt: skip
    needs_token = token is not None
    _add_error_handlers(app)
    _add_pages(app, counters, queue, {
        "model": model, "version": VERSION, "beam": search.beam, "max_beam": config.max_beam
    }, needs_token=needs_token)  # fmt: skip
    _add_languages(app, config, needs_token=needs_token)
    route = TranslationRoute(queue, preparing, model, config)

    @app.post(
        "/translate",
        response_model=TranslateResponse | LibreResponse,
        dependencies=token_security(needs_token),
        responses=error_responses(400, 415, 422, 503, 504, with_token=needs_token),
        openapi_extra=request_body("translate"),
    )
    async def translate(request: Request) -> Response:
        """Translates one or several texts. LibreTranslate clients get a response in their format."""
        return await route(request)

    add_request_schemas(app)
    return CountingMiddleware(RequestGuard(app, config, token=token, hosts=hosts), counters)


def _add_pages(
    app: FastAPI, counters: Metrics, queue: TranslationQueue, health: dict[str, Any], *, needs_token: bool
) -> None:
    page = load_page()

    @app.get("/", response_class=HTMLResponse, responses=error_responses())
    async def page_of_the_service() -> HTMLResponse:
        """Returns the web page."""
        return HTMLResponse(page.html, headers={"content-security-policy": page.policy, "cache-control": "no-cache"})

    starting: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "The model is being loaded."}}

    @app.get("/health", responses=error_responses() | starting)
    async def health_of_the_service(response: Response) -> Health:
        """Returns whether the service is ready, and its model."""
        response.status_code = 200 if queue.ready else 503
        return Health(status="ok" if queue.ready else "starting", **health)

    responses = error_responses(with_token=needs_token) | {200: {"content": {_PROMETHEUS: {}}}}

    @app.get("/metrics", response_class=Response, dependencies=token_security(needs_token), responses=responses)
    async def metrics() -> Response:
        """Returns metrics for Prometheus."""
        return Response(counters.text(), media_type=_PROMETHEUS)


def _add_languages(app: FastAPI, config: ServeConfig, *, needs_token: bool) -> None:
    """Adds the other routes of LibreTranslate."""

    @app.get("/languages", dependencies=token_security(needs_token), responses=error_responses(with_token=needs_token))
    async def languages() -> list[Language]:
        """Returns the supported languages."""
        return list(LANGUAGES)

    @app.post(
        "/detect",
        response_model=list[Detected],
        dependencies=token_security(needs_token),
        responses=error_responses(400, 415, 422, with_token=needs_token),
        openapi_extra=request_body("detect"),
    )
    async def detected(request: Request) -> Response:
        """Detects whether a text is Korean or English."""
        body = await request.body()

        def detect_body() -> list[dict[str, Any]]:
            parsed = parse_libre_request(read_body(request.headers, request.url.query, body), config.max_sentences)
            return [detect(" ".join(parsed.texts)).model_dump()]

        return JSONResponse(await asyncio.to_thread(detect_body))


def _add_error_handlers(app: FastAPI) -> None:
    """Makes every error a JSON object with one line of text."""

    @app.exception_handler(RequestError)
    async def request_error(request: Request, error: RequestError) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        operation = f"{request.method} {quote(request.url.path)}"
        return RequestError(error.status_code, f"{operation}: {error.detail}", error.headers).response()

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return RequestError(500, f"internal error ({type(error).__name__}); see the service's log").response()
