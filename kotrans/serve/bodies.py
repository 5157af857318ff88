"""The body of a request as Python objects, whatever a client says that it is."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from kotrans.serve.refusals import Refused, shortened

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
