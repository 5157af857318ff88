"""Allowed origins and host names of requests.

Whether a request has the token of the service.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from kotrans.serve.requests import Refused, read_body, shortened

_CORS = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}


class Origins:
    """The pages of the service itself, and those of allowed origins.

    A browser sends the requests of any page to any address, also to one that only this machine can reach.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        """allowed: `serve.allowed_origins`."""
        self._all = "*" in allowed
        self._allowed = frozenset(origin.lower() for origin in allowed)

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises Refused if the page of another origin asks. Clients other than browsers send no origin."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and self._is_allowed(origin):
            return
        if site is not None:
            own = site in ("same-origin", "none")
        else:
            own = origin is None or _authority(origin) in (headers.get("host"), headers.get("x-forwarded-host"))
        if not own:
            raise Refused(403, self._why(origin or "none"))

    def of_answer(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that let the page of an allowed origin read the answer."""
        origin = headers.get("origin")
        if origin is None:
            return {"vary": "origin"} if self._allowed else {}
        return {"vary": "origin", **({"access-control-allow-origin": origin} if self._is_allowed(origin) else {})}

    def preflight(self, headers: Mapping[str, str]) -> Response | None:
        """The answer to a browser that asks whether a page may send a request; None if this is no such question."""
        origin = headers.get("origin")
        if origin is None or "access-control-request-method" not in headers:
            return None
        if not self._is_allowed(origin):
            return JSONResponse({"error": self._why(origin)}, 403)
        private = "access-control-request-private-network" in headers
        return Response(
            status_code=204, headers=_CORS | ({"access-control-allow-private-network": "true"} if private else {})
        )

    def _is_allowed(self, origin: str) -> bool:
        return self._all or origin.lower() in self._allowed

    def _why(self, origin: str) -> str:
        return (
            f"Origin: pages of {shortened(origin)} may not use this service; start it with "
            f"--set 'serve.allowed_origins=[\"{shortened(origin)}\"]' to allow them"
        )


def check_host(headers: Mapping[str, str], hosts: frozenset[str] | None) -> None:
    """Raises Refused if `Host` is none of these names; None allows all.

    A page elsewhere can let its own name point to this machine (DNS rebinding), but not forge `Host`.
    """
    if hosts is None:
        return
    name = headers.get("host", "")
    name = name if name.endswith("]") else name.rpartition(":")[0] or name
    if name.lower() not in hosts:
        raise Refused(
            403, f"Host: this service is for its own machine, but the header `Host` names "
            f"{shortened(name) or 'nobody'}; ask for it as localhost, or let a proxy send `Host: localhost`",
        )  # fmt: skip


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


_KEY_PATHS = ("/translate", "/detect", "/languages")  # where clients of LibreTranslate send it as `api_key`
_BEARER = {"www-authenticate": "Bearer"}


class TokenCheck:
    """Compares what a request has with the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def check(self, path: str, headers: Mapping[str, str], query: str, body: bytes) -> None:
        """Raises Refused if the token is missing or wrong."""
        given = _of_header(headers)
        if given is None and path in _KEY_PATHS and (b"api_key" in body or "api_key" in query):
            given = await asyncio.to_thread(_of_fields, headers, query, body)
        if given is None:
            raise Refused(401, "the token is missing; send the header `Authorization: Bearer TOKEN`", _BEARER)
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            raise Refused(
                401, "the token is wrong; ask who runs the service for it",
                {"www-authenticate": 'Bearer error="invalid_token"'},
            )  # fmt: skip


def _of_header(headers: Mapping[str, str]) -> str | None:
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" and given.strip() else None


def _of_fields(headers: Mapping[str, str], query: str, body: bytes) -> str | None:
    try:
        fields = read_body(headers, query, body)
    except Refused:
        return None
    given = fields.get("api_key") if isinstance(fields, dict) else None
    return given if isinstance(given, str) and given else None
