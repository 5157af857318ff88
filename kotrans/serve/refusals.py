"""Requests that get no translation, and how that is said."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

_LONGEST = 100  # characters of what a client sent that are repeated to it


class Refused(Exception):
    """A request that gets no translation, with status and one line of why."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse({"error": str(self)}, self.status, self.headers)


def shortened(text: str) -> str:
    """What a client sent, at a length that fits in a message, in one line."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
