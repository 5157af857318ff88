"""The application: requests in, answers out.

The page, and the policy that lets a browser run what is in it and nothing else.
"""

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
from kotrans.serve.requests import Refused, libre_request, read_body, shortened
from kotrans.serve.schemas import (
    Detected,
    Health,
    Language,
    LibreResponse,
    TranslateResponse,
    body_of,
    described,
    limits_of,
    problems,
    secured,
)
from kotrans.serve.server import tell_once
from kotrans.serve.translation_route import TranslationRoute
from kotrans.serve.worker import TranslationWorker
from kotrans.storage.resources import VERSION
from kotrans.translation.translator import BatchTranslator

_INLINE = {
    "script": re.compile(r"<script>(.*?)</script>", re.DOTALL),
    "style": re.compile(r"<style>(.*?)</style>", re.DOTALL),
}


class Page(NamedTuple):
    """HTML, and its Content-Security-Policy."""

    html: str
    policy: str


def load_page() -> Page:
    """The page as it lies in the package."""
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


_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def build_app(
    start: Callable[[], TranslationWorker], preparing: BatchTranslator, model: str, config: ServeConfig,
    *, threads: int, token: str | None, hosts: frozenset[str] | None, on_ready: Callable[[], None] = lambda: None,
) -> ASGIApp:  # fmt: skip
    """The service of a model of this name.

    start: loads the model, in each of so many threads. preparing: cuts texts, see `without_model`. on_ready: called
    when all have loaded it. token, hosts: see Guard.
    """
    search: SearchConfig = preparing.config
    counters = Metrics(lambda: batcher.waiting)
    batcher = TranslationQueue(
        start, threads=threads, size=search.batch, max_waiting=config.max_waiting, on_batch=counters.add_batch,
        on_ready=on_ready,
    )  # fmt: skip

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        tell_once(asyncio.get_running_loop())
        with batcher:
            yield

    app = FastAPI(
        title="kotrans", version=VERSION, lifespan=running, docs_url=None, redoc_url=None,
        description=f"Korean to English. {limits_of(config)}",
    )  # fmt: skip
    _answer_in_json(app)
    _add_pages(app, counters, batcher, {
        "model": model, "version": VERSION, "beam": search.beam, "max_beam": config.max_beam
    }, needs_token=token is not None)  # fmt: skip
    _add_languages(app, config, needs_token=token is not None)
    route = TranslationRoute(batcher, preparing, model, config)

    @app.post(
        "/translate",
        response_model=TranslateResponse | LibreResponse,
        dependencies=secured(token is not None),
        responses=problems(400, 415, 422, 503, 504, with_token=token is not None),
        openapi_extra=body_of("translate"),
    )
    async def translate(request: Request) -> Response:
        """Translate a text, or several. Clients of LibreTranslate are answered in its own shape."""
        return await route(request)

    described(app)
    return CountingMiddleware(RequestGuard(app, config, token=token, hosts=hosts), counters)


def _add_pages(
    app: FastAPI, counters: Metrics, batcher: TranslationQueue, health: dict[str, Any], *, needs_token: bool
) -> None:
    page = load_page()

    @app.get("/", response_class=HTMLResponse, responses=problems())
    async def page_of_the_service() -> HTMLResponse:
        """The page for people."""
        return HTMLResponse(page.html, headers={"content-security-policy": page.policy, "cache-control": "no-cache"})

    @app.get("/health", responses=problems() | {503: {"model": Health, "description": "A model is being loaded."}})
    async def health_of_the_service(response: Response) -> Health:
        """Whether it is ready, and with what model."""
        response.status_code = 200 if batcher.ready else 503
        return Health(status="ok" if batcher.ready else "starting", **health)

    answers = problems(with_token=needs_token) | {200: {"content": {_PROMETHEUS: {}}}}

    @app.get("/metrics", response_class=Response, dependencies=secured(needs_token), responses=answers)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(counters.text(), media_type=_PROMETHEUS)


def _add_languages(app: FastAPI, config: ServeConfig, *, needs_token: bool) -> None:
    """What clients of LibreTranslate ask besides."""

    @app.get("/languages", dependencies=secured(needs_token), responses=problems(with_token=needs_token))
    async def languages() -> list[Language]:
        """The languages that are translated."""
        return list(LANGUAGES)

    @app.post(
        "/detect",
        response_model=list[Detected],
        dependencies=secured(needs_token),
        responses=problems(400, 415, 422, with_token=needs_token),
        openapi_extra=body_of("detect"),
    )
    async def detected(request: Request) -> Response:
        """Whether a text is Korean or English."""
        body = await request.body()

        def find() -> list[dict[str, Any]]:
            asked = libre_request(read_body(request.headers, request.url.query, body), config.max_sentences)
            return [detect(asked.q if isinstance(asked.q, str) else " ".join(asked.q)).model_dump()]

        return JSONResponse(await asyncio.to_thread(find))


def _answer_in_json(app: FastAPI) -> None:
    """Whatever goes wrong is told in one line."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        what = f"{request.method} {shortened(request.url.path)}"
        return Refused(error.status_code, f"{what}: {error.detail}", error.headers).response()

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return Refused(500, f"a fault of the service ({type(error).__name__}); its log says more").response()
