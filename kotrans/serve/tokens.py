"""Whether a request has the token of the service."""

import asyncio
import hmac
from collections.abc import Mapping

from kotrans.serve.bodies import read_body
from kotrans.serve.refusals import Refused

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
