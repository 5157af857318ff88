"""Tables as text: cells between tabs (TSV) or commas (CSV)."""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from kotrans.config.sections import Fields
from kotrans.data.formats.columns import (
    Columns,
    TextRow,
    is_numbered,
    named_columns,
    names_of,
    numbered_columns,
    pairs_of,
)
from kotrans.data.formats.pairs import Pair, no_such_fields
from kotrans.data.formats.skipped import Skipped
from kotrans.data.formats.text_lines import text_lines
from kotrans.errors import DataError

_FIRST_ROWS = 100  # by which the number of columns and the separator of a file without a header are told
_SEPARATORS = (",", ";", "\t", "|")  # of CSV, the first that fits
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;]*')  # the first line of a CSV file that tells Excel its separator
_BACKSLASHED = re.compile(r'\\(["\\])')
_LINES = 1000  # most lines of a quoted cell
_CHARACTERS = 2**17  # most characters of a quoted cell, as csv has it by default

Line = tuple[int, str]


def read_tsv(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Cells between tabs; quotation marks are text like any other, and a row is one line."""
    lines = enumerate(text_lines(path, skipped), 1)
    return _pairs(path, ((number, line.split("\t")) for number, line in lines if line), fields, skipped)


def read_csv(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Cells between commas, or semicolons, tabs or bars if the header or the first rows show those.

    A quoted cell may hold separators, line breaks, and quotation marks, doubled or after a backslash. A row that
    cannot be read costs its first line.
    """
    lines = ((number, line) for number, line in enumerate(text_lines(path, skipped), 1) if line)
    first = list(islice(lines, _FIRST_ROWS))
    if first and (told := _SEP_LINE.fullmatch(first[0][1])):
        first, separator = first[1:], told[1]
    else:
        separator = _separator(first, fields)
    yield from _pairs(path, _records(chain(first, lines), separator, str(path), skipped), fields, skipped)


def _pairs(path: Path, rows: Iterator[TextRow], fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    columns: Columns | None
    if is_numbered(fields):
        first = list(islice(rows, _FIRST_ROWS))
        columns = numbered_columns((cells for _, cells in first), fields)
        rows = chain(first, rows)
    else:
        number, header = next(rows, (1, ()))
        columns = named_columns(names := names_of(header), fields)
        if columns is None:
            missing = [name for name in (fields.source, fields.target) if name not in names]
            raise DataError(f"{path}:{number}: {no_such_fields(missing, [name for name in names if name])}")
    yield from pairs_of(rows, columns, str(path), skipped)


def _separator(first: Sequence[Line], fields: Fields) -> str:
    """The separator whose header has both names; without a header, the one that most rows agree about."""
    fits: dict[str, int] = {}
    for separator in _SEPARATORS:
        rows = [cells for _, cells in _records(first, separator, "", Skipped())]
        if is_numbered(fields):
            width = numbered_columns(rows, fields).width
            fits[separator] = sum(len(cells) == width for cells in rows)
        elif rows and named_columns(names_of(rows[0]), fields):
            return separator
        else:
            fits[separator] = len(rows[0]) if rows else 0
    return max(fits, key=lambda separator: fits[separator])  # of equals, the first


def _records(lines: Iterable[Line], separator: str, file: str, skipped: Skipped) -> Iterator[TextRow]:
    ahead = _Ahead(lines)
    for number, line in ahead:
        if '"' not in line:
            yield number, line.split(separator)
            continue
        cells = _in_one_line(line, separator)
        if cells is None:
            cells = _in_several(line, ahead, separator)
        if cells is not None:
            yield number, cells
        else:
            skipped.reject(
                "syntax",
                f"{file}:{number}",
                "a quotation mark that does not fit: quote the whole cell, and double the marks in it, as Excel does",
            )


def _in_one_line(line: str, separator: str) -> list[str] | None:
    """The cells if the line is a whole record; None if it is not, whether it goes on or is malformed."""
    for text in (line, _doubled(line)) if "\\" in line else (line,):
        try:
            return next(csv.reader([text], delimiter=separator, strict=True))
        except csv.Error:
            continue
    return None


def _in_several(line: str, ahead: "_Ahead", separator: str) -> list[str] | None:
    """The cells of a record that goes on in the next lines, which are then taken; None if there is no such record."""
    for spelled in (str, _doubled):
        taken: list[Line] = []
        try:
            cells = next(csv.reader(_continued(spelled, line, ahead, taken), delimiter=separator, strict=True))
        except csv.Error:
            ahead.put_back(taken)
        else:
            return [cell.replace("\n", " ") for cell in cells]
    return None


def _continued(spelled: Callable[[str], str], line: str, ahead: "_Ahead", taken: list[Line]) -> Iterator[str]:
    """A line and those after it, noted in `taken`, as far as a quoted cell may go."""
    yield f"{spelled(line)}\n"
    characters = 0
    for number, text in islice(ahead, _LINES):
        taken.append((number, text))
        characters += len(text)
        if characters > _CHARACTERS:
            return
        yield f"{spelled(text)}\n"


def _doubled(text: str) -> str:
    """Quotation marks after a backslash as CSV has them, and double backslashes single."""
    return _BACKSLASHED.sub(lambda found: '""' if found[1] == '"' else "\\", text)


class _Ahead:
    """Lines, some of which may be put back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._back.popleft() if self._back else next(self._lines)

    def put_back(self, lines: Sequence[Line]) -> None:
        """These lines come next, in their order."""
        self._back.extendleft(reversed(lines))
