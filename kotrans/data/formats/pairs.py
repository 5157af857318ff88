"""What every format reader gives, and the rule that one side is one line."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import isfinite
from typing import NamedTuple, Self

from kotrans.config.sections import Fields

_SURROGATES = re.compile("[\ud800-\udfff]")


Pair = tuple[str, str]
"""Korean and English; neither holds "\\n"."""


class Pairs(NamedTuple):
    """Korean and English, line N of one translating line N of the other."""

    source: list[str]
    target: list[str]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Self:
        """A stream of pairs, all in memory."""
        both = list(pairs)
        return cls([source for source, _ in both], [target for _, target in both])


def one_line_each(source: str, target: str) -> Pair:
    """A pair; a line break inside a side becomes a space, half a surrogate pair the sign for unknown."""
    return _one_line(source), _one_line(target)


def in_parts(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """The pairs, so many at a time."""
    pairs = iter(pairs)
    while part := list(islice(pairs, size)):
        yield part


def text_of(value: object) -> str | None:
    """A field's value as text; nothing is "", a number is written out, and anything else is None."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return str(value)
    return None


def no_such_fields(names: Sequence[str], found: Sequence[str], fields: Fields | None = None) -> str:
    """The problem that a file or record does not call its sides what `fields` says, and which `fields` to give."""
    shown = ", ".join(repr(name if len(name) <= 60 else f"{name[:60]}…") for name in found[:20]) or "nothing"
    source, target = (fields.source, fields.target) if fields else ("...", "...")
    return (
        f"there is no {' and no '.join(repr(name) for name in names)}, but {shown}; "
        f"say what the Korean and the English side are called: fields: {{source: {source}, target: {target}}}"
    )


def _one_line(text: str) -> str:
    if "\n" in text:
        text = text.replace("\r\n", " ").replace("\n", " ")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
