"""Spans of text that are not natural language: placeholders, addresses, code, tags and key marks.

Opaque spans have to stand in a translation whole and unchanged. Tags and marks of keys are only passed over.
"""

import re
from typing import Literal, NamedTuple

Kind = Literal["placeholder", "address", "code", "tag", "mark"]

_END = r"(?<![.,;:!?)\]}'\"])"  # of an address: punctuation behind it belongs to the sentence
_PATTERNS: dict[Kind, str] = {
    "address": rf"(?:https?|ftp)://[A-Za-z0-9][!-;=?-_a-z~]*{_END}|\bwww\.[A-Za-z0-9-]+\.[!-;=?-_a-z~]+{_END}"
    r"|[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]*[A-Za-z0-9])+"
    r"|(?<![\w+])\+[0-9]{1,3}(?:[-. ][0-9]{1,4}(?:[-.][0-9]{3,4}){1,2})(?![0-9-])"
    r"|(?<![\w-])0[0-9]{1,2}-[0-9]{3,4}-[0-9]{4}(?![0-9-])"
    r"|<(?:@[!&]?|#|a?:\w+:)[0-9]{5,}>",
    "code": r"(?<!`)``[^`가-힣]+``(?!`)|(?<!`)`[^`가-힣]+`(?!`)",
    "tag": r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>",
    "placeholder": r"\{\{[ ]?[\w.|-]+[ ]?\}\}|[$#]?\{[\w.!:\[\]%,<>^+-]*\}"
    r"|(?<![0-9%])%(?:\([A-Za-z_]\w*\)|[0-9]\$)?[-+#0]?[0-9]*(?:\.[0-9]+)?(?:hh?|ll?|[zj])?[sdifgGeExXoucrpi](?![A-Za-z0-9_])"
    r"|(?<![0-9%])%[1-9](?![0-9])|(?<![\w%])%[A-Z_]{2,}%(?!\w)"
    r"|(?<![\w$])\$[1-9](?![0-9]|[.,:][0-9]| ?(?:million|billion|thousand|[만억조천]))",
    "mark": r"(?<=[가-힣])\([_&]?[A-Za-z0-9]\)",
}
_SPAN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()), re.ASCII)
_MAY_HAVE = re.compile(r"[{}%$@+<>`(]|://|www\.|0[0-9]{1,2}-")


class Span(NamedTuple):
    """A stretch of a line that is no language."""

    text: str
    begin: int
    end: int
    kind: Kind


def opaque_spans(line: str) -> list[Span]:
    """The opaque spans, tags and marks of keys of a line, in order."""
    if not _MAY_HAVE.search(line):
        return []
    return [Span(match[0], *match.span(), _kind(match)) for match in _SPAN.finditer(line)]


def may_be_money(text: str) -> bool:
    """Whether it is like $1, which is a placeholder or a dollar."""
    return text[0] == "$" and text[1:].isdecimal()


def _kind(match: re.Match[str]) -> Kind:
    return next(kind for kind in _PATTERNS if match[kind] is not None)
