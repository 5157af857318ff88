"""Access checks of a request: `Host` header, origin and token."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from kotrans.serve.requests import RequestError, quote, read_body

_PREFLIGHT_HEADERS = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}
_API_KEY_PATHS = ("/translate", "/detect", "/languages")  # LibreTranslate clients send the token as `api_key`
_BEARER = {"www-authenticate": "Bearer"}
_INVALID_TOKEN = {"www-authenticate": 'Bearer error="invalid_token"'}


def check_host(headers: Mapping[str, str], hosts: frozenset[str] | None) -> None:
    """Raises RequestError if the `Host` header is not one of `hosts`; None allows any.

    Protects against DNS rebinding: a web page can make its own name resolve to this machine, but cannot forge `Host`.
    Starlette's TrustedHostMiddleware answers with status 400 and plain text instead of 403 and JSON.
    """
    if hosts is None:
        return
    name = headers.get("host", "")
    name = name if name.endswith("]") else name.rpartition(":")[0] or name
    if name.lower() not in hosts:
        raise RequestError(
            403, f"Host: {quote(name) or 'empty'} is not allowed, because only this machine is served; "
            "use localhost in the URL, or let a proxy send `Host: localhost`",
        )  # fmt: skip


class Origins:
    """Decides which web pages may use the service: its own, and those of the allowed origins.

    A browser sends the requests of any page to any address, including loopback addresses. Starlette's CORSMiddleware
    only restricts reading of responses; it passes on the request of a page that is not allowed.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        """allowed: `serve.allowed_origins`."""
        self._any = "*" in allowed
        self._allowed = frozenset(origin.lower() for origin in allowed)

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises RequestError for a request of another origin's page. Clients other than browsers send no origin."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and self._is_allowed(origin):
            return
        if site is not None:
            is_own = site in ("same-origin", "none")
        else:
            is_own = origin is None or _host_of(origin) in (headers.get("host"), headers.get("x-forwarded-host"))
        if not is_own:
            raise RequestError(403, self._refusal(origin or "none"))

    def response_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Returns the headers that let a page of an allowed origin read the response."""
        origin = headers.get("origin")
        if origin is None:
            return {"vary": "origin"} if self._allowed else {}
        return {"vary": "origin", **({"access-control-allow-origin": origin} if self._is_allowed(origin) else {})}

    def preflight_response(self, headers: Mapping[str, str]) -> Response | None:
        """Returns the response to a CORS preflight request; None for any other request."""
        origin = headers.get("origin")
        if origin is None or "access-control-request-method" not in headers:
            return None
        if not self._is_allowed(origin):
            return JSONResponse({"error": self._refusal(origin)}, 403)
        private = "access-control-request-private-network" in headers
        allow_private = {"access-control-allow-private-network": "true"} if private else {}
        return Response(status_code=204, headers=_PREFLIGHT_HEADERS | allow_private)

    def _is_allowed(self, origin: str) -> bool:
        return self._any or origin.lower() in self._allowed

    def _refusal(self, origin: str) -> str:
        return (
            f"Origin: pages of {quote(origin)} may not use this service; start it with "
            f"--set 'serve.allowed_origins=[\"{quote(origin)}\"]' to allow them"
        )


class TokenCheck:
    """Compares the token of a request with that of the service.

    A check of all paths before routing: FastAPI's security dependencies cover neither /openapi.json nor unknown paths.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def check(self, path: str, headers: Mapping[str, str], query: str, body: bytes) -> None:
        """Raises RequestError if the token is missing or wrong."""
        given = _bearer_token(headers)
        if given is None and path in _API_KEY_PATHS and (b"api_key" in body or "api_key" in query):
            given = await asyncio.to_thread(_api_key, headers, query, body)
        if given is None:
            raise RequestError(401, "the token is missing; send the header `Authorization: Bearer TOKEN`", _BEARER)
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            raise RequestError(401, "the token is wrong; ask the operator of the service for it", _INVALID_TOKEN)


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _bearer_token(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _api_key(headers: Mapping[str, str], query: str, body: bytes) -> str | None:
    try:
        fields = read_body(headers, query, body)
    except RequestError:
        return None
    key = fields.get("api_key") if isinstance(fields, dict) else None
    return key if isinstance(key, str) and key else None
