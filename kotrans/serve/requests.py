"""Requests that get no translation, and how that is said.

The body of a request as Python objects, whatever a client says that it is.

What a request asks for: its own fields, or those of LibreTranslate's clients.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.responses import JSONResponse

from kotrans.serve.schemas import LibreRequest, Message, TranslateRequest

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


_JSON = 'send JSON with the header `content-type: application/json`, such as {"text": "안녕하세요."}'
_FORM = "application/x-www-form-urlencoded"
_FIELDS = 100  # of a form
_MARKS = {
    b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip


class FormFields(dict[str, str | list[str]]):
    """Fields of a form or a query, where numbers are texts."""


def read_body(headers: Mapping[str, str], query: str, body: bytes) -> Any:
    """The body, or the fields of the query if there is no body. Raises Refused.

    JSON is recognised by its first character where the header says something else: curl calls all that it sends a
    form.
    """
    if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
        raise Refused(415, f"content-encoding: {shortened(coding)} is not supported; send the body as it is")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body and query:
        return _fields(query)
    text = _decoded(body)
    if kind == "application/json" or kind.endswith("+json") or text.lstrip()[:1] in ("{", "["):
        return _parsed(text)
    if kind == _FORM and "=" in text:
        return _fields(text)
    if kind in (_FORM, ""):
        raise Refused(400, f"body: not JSON; {_JSON}")
    raise Refused(415, f"content-type: {shortened(kind)} is not supported; {_JSON}")


def _decoded(body: bytes) -> str:
    for mark, name in _MARKS.items():
        if body.startswith(mark):
            raise Refused(400, f"body: {name}, but it should be JSON in UTF-8; send it as it is")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"body: not UTF-8 (byte 0x{body[error.start]:02x} at {error.start})"
    try:
        body.decode("cp949")
    except UnicodeDecodeError:
        raise Refused(400, f"{where}; send it in UTF-8") from None
    raise Refused(400, f"{where}; it may be cp949 (EUC-KR): send it in UTF-8")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Refused(400, f"body: not JSON ({error.msg} at character {error.pos}); mend it") from None
    except RecursionError:
        raise Refused(400, "body: JSON that is nested too deeply; send one object") from None
    except ValueError:  # a number of thousands of digits
        raise Refused(400, "body: JSON with a number that is too long; send a smaller one") from None


def _refuse_constant(name: str) -> Any:
    raise Refused(400, f"body: {name} is not JSON; send a number")


def _fields(text: str) -> FormFields:
    """The fields of a form; one that is there several times is a list."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except UnicodeDecodeError:
        raise Refused(400, "body: a form that is not in UTF-8; send it in UTF-8") from None
    except ValueError:
        raise Refused(422, f"body: a form of more than {_FIELDS} fields; send fewer") from None
    fields = FormFields()
    for name, value in pairs:
        before = fields.get(name)
        fields[name] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return fields


RequestBody = TypeVar("RequestBody", bound=Message)
_PROBLEMS_TOLD = 3  # of a body that may have as many as it has bytes
_OWN = frozenset(TranslateRequest.model_fields)


@dataclass(frozen=True)
class ParsedRequest:
    """Texts to translate, and how."""

    texts: Sequence[str]
    beam: int | None = None
    n_best: int = 1
    attention: bool | Literal["all"] = False
    split_sentences: bool | None = None
    libre: LibreRequest | None = None
    """Set if the answer is for a client of LibreTranslate."""

    @property
    def with_attention(self) -> int:
        """Of how many of the best translations the attention is answered."""
        return self.n_best if self.attention == "all" else int(self.attention)


def read_question(body: Any, most_texts: int) -> ParsedRequest:
    """What the body of POST /translate asks for. Raises Refused."""
    if isinstance(body, list):
        raise Refused(422, 'body: a list; send one object, several texts as {"text": ["…", "…"]}')
    if not isinstance(body, dict):
        raise Refused(422, 'body: should be an object, such as {"text": "안녕하세요."}')
    if "q" in body and "text" not in body:
        return _of_libre(libre_request(body, most_texts), most_texts)
    return _own(body, most_texts)


def libre_request(body: Any, most_texts: int) -> LibreRequest:
    """The fields of a client of LibreTranslate; a form has numbers as texts. Raises Refused."""
    if not isinstance(body, dict) or body.get("q") is None:
        raise Refused(400, "q: missing; send the text as `q`")
    fields = {name: body[name] for name in LibreRequest.model_fields if name in body}
    number = fields.get("alternatives")
    if isinstance(body, FormFields) and isinstance(number, str) and number.isdecimal() and len(number) < 10:
        fields["alternatives"] = int(number)
    _check_texts("q", fields["q"], most_texts, status=400)
    return _validated(LibreRequest, fields, status=400)


def _of_libre(asked: LibreRequest, most_texts: int) -> ParsedRequest:
    for name, value, known in (
        ("source", asked.source, ("ko", "auto")), ("target", asked.target, ("en",)),
        ("format", asked.format, ("text", "html")),
    ):  # fmt: skip
        if value not in known:
            raise Refused(400, f"{name}: {shortened(value)} is not supported; take {' or '.join(known)}")
    texts = [asked.q] if isinstance(asked.q, str) else asked.q
    return ParsedRequest(texts, n_best=1 + asked.alternatives, libre=asked)


def _own(body: Mapping[str, Any], most_texts: int) -> ParsedRequest:
    # Told before the fields are validated: there may be as many unknown ones as the body has bytes.
    unknown = [name for name in body if name not in _OWN]
    if unknown:
        told = [_unknown(name) for name in unknown[:_PROBLEMS_TOLD]]
        raise Refused(422, "; ".join(told + _and_more(len(unknown))))
    if "text" not in body:
        raise Refused(422, 'text: missing; send the text as {"text": "안녕하세요."}')
    _check_texts("text", body["text"], most_texts, status=422)
    asked = _validated(TranslateRequest, body, status=422)
    return ParsedRequest(
        [asked.text] if isinstance(asked.text, str) else asked.text,
        asked.beam, asked.n_best, asked.attention, asked.split_sentences,
    )  # fmt: skip


def _check_texts(name: str, texts: Any, most: int, *, status: int) -> None:
    """Tells of the first that is no text alone: there may be as many as the body has bytes."""
    if not isinstance(texts, list):
        if not isinstance(texts, str):
            raise Refused(status, f"{name}: should be a text or a list of texts")
        return
    if len(texts) > most:
        raise Refused(status, f"{name}: {len(texts):,} sentences, but at most {most:,} are taken; send fewer")
    odd = next((n for n, each in enumerate(texts) if not isinstance(each, str)), None)
    if odd is not None:
        raise Refused(status, f"{name}: item {odd} of the list should be a text")


def _unknown(name: str) -> str:
    near = get_close_matches(name, _OWN, n=1) if len(name) < 40 else []
    return f"{shortened(name)}: there is no such field" + (f"; did you mean {near[0]}?" if near else "")


def _validated(kind: type[RequestBody], fields: Mapping[str, Any], *, status: int) -> RequestBody:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = [_told(each["loc"], each["msg"]) for each in problems[:_PROBLEMS_TOLD]]
        raise Refused(status, "; ".join(told + _and_more(len(problems)))) from None


def _told(where: Sequence[int | str], message: str) -> str:
    message = message.removeprefix("Input ").removeprefix("Value error, ")
    return f"{where[0] if where else 'body'}: {message[0].lower()}{message[1:]}"


def _and_more(problems: int) -> list[str]:
    return [f"and {problems - _PROBLEMS_TOLD:,} more"] if problems > _PROBLEMS_TOLD else []
