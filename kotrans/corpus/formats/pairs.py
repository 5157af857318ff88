"""What every format reader gives, and the rule that one side is one line."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

from kotrans.errors import DataError

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


def cell_text(value: object, where: str) -> str:
    """A cell's or field's value as text; nothing is "", a number is written out. Raises DataError on anything else."""
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise DataError(f"{where}: is a {type(value).__name__}, not text; name a field that holds text in `fields`")


def missing_field(path: Path, line: int | None, names: list[str], found: list[str]) -> DataError:
    """The error that a file does not call its sides what `fields` says."""
    where = f"{path}:{line}" if line else str(path)
    shown = ", ".join(repr(name) for name in found[:20]) or "nothing"
    return DataError(
        f"{where}: there is no {' and no '.join(repr(name) for name in names)}, but {shown}; "
        "say what the Korean and the English side are called: fields: {source: ..., target: ...}"
    )


def _one_line(text: str) -> str:
    if "\n" in text:
        text = text.replace("\r\n", " ").replace("\n", " ")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
