"""`kotrans serve`."""

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.options import Models, RunNames, Settings
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from kotrans.pipeline.translation import FoundRuns


def serve(
    runs: RunNames = None,
    models: Models = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Listen here; serve.host if left out.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, metavar="N", help="0 takes a free one; serve.port if left out.", show_default=False
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="KOTRANS_TOKEN", metavar="TOKEN", help="What clients must know; needed beyond this machine."
        ),
    ] = None,
    settings: Settings = None,
) -> None:
    """Translate over HTTP, and in a browser."""
    if missing := [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]:
        raise UsageError(f"{missing[0]} is not installed; run pip install 'kotrans[serve]'")
    from kotrans.pipeline.translation import find_runs
    from kotrans.serve.server import check_token, listen, serve, url

    where = [f"serve.{key}={json.dumps(value)}" for key, value in (("host", host), ("port", port)) if value is not None]
    found = find_runs(
        [*(runs or []), *(models or [])], [*(settings or []), *where], sections=("search", "hardware", "serve")
    )
    config = found.config.serve
    check_token(config, token)  # before a model is loaded that will not be served
    model, app = _application(found, token)
    with listen(config) as listening:
        typer.echo(f"run {model}\nserving at {url(listening)} (Ctrl-C ends it)", err=True)
        serve(app, listening, config)
    typer.echo("stopped", err=True)


def _application(found: "FoundRuns", token: str | None) -> "tuple[str, ASGIApp]":
    """The name of the model and its service. A model that processes load for themselves is let go here."""
    from kotrans.serve.app import build_app
    from kotrans.serve.server import is_loopback
    from kotrans.serve.translating import start_of

    loaded, config = found.load(), found.config
    model, translator = " + ".join(loaded.names), loaded.translator
    return model, build_app(
        start_of(translator, found.load_for_one_core), model, config.search, config.serve,
        threads=translator.threads, token=token, local=is_loopback(config.serve.host),
    )  # fmt: skip
