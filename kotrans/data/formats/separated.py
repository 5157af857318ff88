"""Tables as text: cells between tabs (TSV) or commas (CSV).

Which columns of a table hold the two sides, and the rows that have them.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Pair, Skipped, no_such_fields
from kotrans.data.formats.text_lines import text_lines
from kotrans.errors import DataError

TextRow = tuple[int, Sequence[str]]
"""Number of its line, counted from 1, and its cells."""


class Columns(NamedTuple):
    """The columns of the two sides, counted from 0, and how many cells a row has."""

    source: int
    target: int
    width: int


def is_numbered(fields: Fields) -> bool:
    """True if `fields` counts the columns from 1 instead of naming them; then there is no header row."""
    return all(name.isdecimal() and int(name) > 0 for name in (fields.source, fields.target))


def named_columns(header: Sequence[str], fields: Fields) -> Columns | None:
    """The columns of a header; None if it does not have both names."""
    if fields.source not in header or fields.target not in header:
        return None
    return Columns(header.index(fields.source), header.index(fields.target), len(header))


def numbered_columns(rows: Iterable[Sequence[str]], fields: Fields) -> Columns:
    """The columns that `fields` counts; a row has as many cells as most of these first rows."""
    source, target = int(fields.source) - 1, int(fields.target) - 1
    widths = Counter(len(row) for row in rows if len(row) > max(source, target))
    return Columns(source, target, widths.most_common(1)[0][0] if widths else max(source, target) + 1)


def names_of(cells: Iterable[object]) -> list[str]:
    """The names in a header row."""
    return ["" if cell is None else str(cell).strip("\ufeff \t\r\n") for cell in cells]


def pairs_of(rows: Iterable[TextRow], columns: Columns, file: str, skipped: Skipped) -> Iterator[Pair]:
    """The two cells of every row. A row with other cells than its table has columns is counted as malformed.

    Cells that are missing at the end are taken as empty if neither side is among them: many programs leave them out.
    Empty rows are no records.
    """
    source, target, width = columns
    needed = max(source, target) + 1
    for number, cells in rows:
        if len(cells) == width or (needed <= len(cells) and not any(cells[width:])):
            korean, english = cells[source], cells[target]
            if korean or english or any(cells):
                yield korean, english
        elif "".join(cells).strip():
            wanted = f"{width}" if len(cells) > width else f"at least {needed}"
            skipped.reject("columns", f"{file}:{number}", f"has {len(cells)} cells, but should have {wanted}")


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
