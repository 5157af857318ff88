"""`kotrans serve`."""

import json
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.options import Models, RunNames, Settings
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from kotrans.translation.model_loading import TranslatorSpec


def serve(
    runs: RunNames = None,
    models: Models = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on (default: serve.host).")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, metavar="N", help="Port to listen on; 0 picks a free one (default: serve.port)."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="KOTRANS_TOKEN",
            show_envvar=False,
            metavar="TOKEN",
            help="Bearer token; required unless listening on loopback (default: KOTRANS_TOKEN).",
        ),
    ] = None,
    settings: Settings = None,
) -> None:
    """Serve translations over HTTP: an API and a web page."""
    if missing := [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]:
        raise UsageError(f"{missing[0]} is not installed; run pip install 'kotrans[serve]'")
    from kotrans.serve.server import check_token, host_names, listen, serve, url
    from kotrans.translation.model_loading import find_models

    where = [f"serve.{key}={json.dumps(value)}" for key, value in (("host", host), ("port", port)) if value is not None]
    spec = find_models(
        [*(runs or []), *(models or [])], [*(settings or []), *where], sections=("search", "hardware", "serve")
    )
    config = spec.config.serve
    check_token(config, token)  # before the model is loaded
    build = _builder(spec, token)
    with listen(config) as listening:

        def print_url() -> None:
            typer.echo(f"serving at {url(listening)} (press Ctrl-C to stop)", err=True)

        serve(build(host_names(listening, config.host), print_url), listening, config)
    typer.echo("stopped", err=True)


def _builder(
    spec: "TranslatorSpec", token: str | None
) -> "Callable[[frozenset[str] | None, Callable[[], None]], ASGIApp]":
    """Loads the models, and returns a function that builds the service from host names and an `on_ready` callback.

    A model that worker processes load is freed here.
    """
    from kotrans.serve.application import build_app
    from kotrans.serve.worker import without_model, worker_factory
    from kotrans.translation.translator import Translator

    translator, serving = Translator.from_spec(spec), spec.config.serve
    model = translator.name
    typer.echo(f"run {model}", err=True)
    start = worker_factory(translator, partial(Translator.from_spec, spec.with_threads(1)), serving.max_memory)
    preparing, threads = without_model(translator), translator.threads
    return lambda hosts, on_ready: build_app(
        start, preparing, model, serving,
        threads=threads, token=token, hosts=hosts, on_ready=on_ready,
    )  # fmt: skip
