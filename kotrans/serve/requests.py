"""Parses the bodies of requests: JSON, forms and queries, in the service's own format or LibreTranslate's."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.responses import JSONResponse

from kotrans.serve.schemas import LibreRequest, Schema, TranslateRequest

RequestSchema = TypeVar("RequestSchema", bound=Schema)
_MAX_QUOTED = 100  # characters of client input that an error message quotes
_MAX_PROBLEMS = 3  # per message; a body can have as many problems as bytes
_MAX_FORM_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"
_SEND_JSON = 'send JSON with the header `content-type: application/json`, such as {"text": "안녕하세요."}'
_MAGIC = {
    b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip
_FIELDS = frozenset(TranslateRequest.model_fields)


class RequestError(Exception):
    """A request that is answered with an error status and one line of explanation."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def response(self) -> JSONResponse:
        """Returns the error response."""
        return JSONResponse({"error": str(self)}, self.status, self.headers)


class FormFields(dict[str, str | list[str]]):
    """Fields of a form or query, in which numbers are strings."""


def quote(text: str) -> str:
    """Returns client input for use in a message: one line of limited length."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text[: _MAX_QUOTED + 1])
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"


def read_body(headers: Mapping[str, str], query: str, body: bytes) -> Any:
    """Returns the parsed body, or the fields of the query if there is no body. Raises RequestError.

    JSON is also recognised by its first character, because curl labels every body as a form.
    """
    if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
        raise RequestError(415, f"content-encoding: {quote(coding)} is not supported; send the body uncompressed")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body and query:
        return _parse_form(query)
    text = _decode(body)
    if kind == "application/json" or kind.endswith("+json") or text.lstrip()[:1] in ("{", "["):
        return _parse_json(text)
    if kind == _FORM and "=" in text:
        return _parse_form(text)
    if kind in (_FORM, ""):
        raise RequestError(400, f"body: not JSON; {_SEND_JSON}")
    raise RequestError(415, f"content-type: {quote(kind)} is not supported; {_SEND_JSON}")


def parse_request(body: Any, max_texts: int) -> tuple[TranslateRequest, LibreRequest | None]:
    """Returns the request of POST /translate, and its LibreTranslate form if it has one. Raises RequestError."""
    if isinstance(body, list):
        raise RequestError(422, 'body: a list; send one object, several texts as {"text": ["…", "…"]}')
    if not isinstance(body, dict):
        raise RequestError(422, 'body: should be an object, such as {"text": "안녕하세요."}')
    if "q" in body and "text" not in body:
        libre = parse_libre_request(body, max_texts)
        _check_supported(libre)
        return TranslateRequest(text=libre.q, n_best=1 + libre.alternatives), libre
    return _parse_own_request(body, max_texts), None


def parse_libre_request(body: Any, max_texts: int) -> LibreRequest:
    """Returns the request of a LibreTranslate client. Raises RequestError."""
    if not isinstance(body, dict) or body.get("q") is None:
        raise RequestError(400, "q: missing; send the text as `q`")
    fields = {name: body[name] for name in LibreRequest.model_fields if name in body}
    number = fields.get("alternatives")
    if isinstance(body, FormFields) and isinstance(number, str) and number.isdecimal() and len(number) < 10:
        fields["alternatives"] = int(number)
    _check_texts("q", fields["q"], max_texts, status=400)
    return _validate(LibreRequest, fields, status=400)


def _parse_own_request(body: Mapping[str, Any], max_texts: int) -> TranslateRequest:
    # Checked before validation, which would collect one error per unknown field.
    unknown = [name for name in body if name not in _FIELDS]
    if unknown:
        raise RequestError(422, _join_problems([_unknown_field(name) for name in unknown[:_MAX_PROBLEMS]], unknown))
    if "text" not in body:
        raise RequestError(422, 'text: missing; send the text as {"text": "안녕하세요."}')
    _check_texts("text", body["text"], max_texts, status=422)
    return _validate(TranslateRequest, body, status=422)


def _check_supported(libre: LibreRequest) -> None:
    for name, value, supported in (
        ("source", libre.source, ("ko", "auto")), ("target", libre.target, ("en",)),
        ("format", libre.format, ("text", "html")),
    ):  # fmt: skip
        if value not in supported:
            raise RequestError(400, f"{name}: {quote(value)} is not supported; use {' or '.join(supported)}")


def _check_texts(name: str, texts: Any, max_texts: int, *, status: int) -> None:
    """Checks the texts before validation, which would collect one error per item."""
    if not isinstance(texts, list):
        if not isinstance(texts, str):
            raise RequestError(status, f"{name}: should be a text or a list of texts")
        return
    if len(texts) > max_texts:
        raise RequestError(status, f"{name}: {len(texts):,} texts exceed the limit of {max_texts:,}; send fewer")
    wrong = next((n for n, each in enumerate(texts) if not isinstance(each, str)), None)
    if wrong is not None:
        raise RequestError(status, f"{name}: item {wrong} of the list should be a text")


def _validate(kind: type[RequestSchema], fields: Mapping[str, Any], *, status: int) -> RequestSchema:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        described = [_describe(each["loc"], each["msg"]) for each in problems[:_MAX_PROBLEMS]]
        raise RequestError(status, _join_problems(described, problems)) from None


def _describe(location: Sequence[int | str], message: str) -> str:
    message = message.removeprefix("Input ").removeprefix("Value error, ")
    return f"{location[0] if location else 'body'}: {message[0].lower()}{message[1:]}"


def _unknown_field(name: str) -> str:
    near = get_close_matches(name, _FIELDS, n=1) if len(name) < 40 else []
    return f"{quote(name)}: unknown field" + (f"; did you mean {near[0]}?" if near else "")


def _join_problems(described: list[str], problems: Sequence[object]) -> str:
    rest = len(problems) - len(described)
    return "; ".join([*described, *([f"and {rest:,} more"] if rest else [])])


def _decode(body: bytes) -> str:
    for magic, name in _MAGIC.items():
        if body.startswith(magic):
            raise RequestError(400, f"body: {name} data; send uncompressed JSON in UTF-8")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"body: not UTF-8 (byte 0x{body[error.start]:02x} at {error.start})"
    try:
        body.decode("cp949")
    except UnicodeDecodeError:
        raise RequestError(400, f"{problem}; send it in UTF-8") from None
    raise RequestError(400, f"{problem}; it may be cp949 (EUC-KR): send it in UTF-8")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise RequestError(
            400, f"body: invalid JSON ({error.msg} at character {error.pos}); send one JSON object"
        ) from None
    except RecursionError:
        raise RequestError(400, "body: JSON is nested too deeply; send one object") from None
    except ValueError:  # a number of thousands of digits
        raise RequestError(400, "body: a number in the JSON is too long; send a smaller one") from None


def _refuse_constant(name: str) -> Any:
    raise RequestError(400, f"body: {name} is not valid JSON; send a number")


def _parse_form(text: str) -> FormFields:
    """Returns the fields of a form; the value of a repeated field is a list."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except UnicodeDecodeError:
        raise RequestError(400, "body: the form is not UTF-8; send it in UTF-8") from None
    except ValueError:
        raise RequestError(422, f"body: a form of more than {_MAX_FORM_FIELDS} fields; send fewer") from None
    fields = FormFields()
    for name, value in pairs:
        before = fields.get(name)
        fields[name] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return fields
