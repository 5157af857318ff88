"""The OpenAPI document: what FastAPI cannot tell from the signatures."""

from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer

from kotrans.config.serve_section import ServeConfig
from kotrans.serve.schemas import LibreRequest, Problem, TranslateRequest

_STATUSES = {
    400: "The body cannot be read, or a language is not supported.",
    401: "The token is missing or wrong.",
    403: "The `Host` header names another machine, or the page of another origin asks.",
    408: "The request came too slowly.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form.",
    422: "The request asks for what is not there, or for too much.",
    500: "A fault of the service.",
    503: "Too much waits, memory ran out, or a process was killed; `Retry-After` says for how many seconds to wait.",
    504: "The translation took too long.",
}
_ANYWHERE = (403, 408, 413, 500, 503)  # and 401 where a token is needed
_BODIES = {"translate": (TranslateRequest, LibreRequest), "detect": (LibreRequest,)}


def limits_of(config: ServeConfig) -> str:
    """The limits in words."""
    return (
        f"A request has at most {config.max_body:,} bytes and {config.max_sentences:,} sentences, counted after its "
        f"texts are cut, in lines of at most {config.max_characters:,} characters, and a beam of at most "
        f"{config.max_beam}. Attention is answered for at most {config.max_weights:,} weights."
    )


def problems(*statuses: int, with_token: bool = False) -> dict[int | str, dict[str, Any]]:
    """Error responses for the OpenAPI document: the given ones and those that any request may get."""
    possible = sorted({*statuses, *_ANYWHERE, *([401] if with_token else [])})
    return {status: {"description": _STATUSES[status], "model": Problem} for status in possible}


def secured(needs_token: bool) -> list[Any]:
    """The token, for the document; it is the guard that checks it."""
    return [Security(HTTPBearer(auto_error=False))] if needs_token else []


def body_of(route: str) -> dict[str, Any]:
    """The body of a route that reads it itself."""
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in _BODIES[route]]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def described(app: FastAPI) -> None:
    """Adds the messages that `body_of` refers to."""
    document = app.openapi()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for kind in {kind for kinds in _BODIES.values() for kind in kinds}:
        schemas[kind.__name__] = kind.model_json_schema(ref_template="#/components/schemas/{model}")
