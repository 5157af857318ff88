"""Tables as text: tab-separated (TSV) and comma-separated (CSV), and the columns of a table that hold the sides."""

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

Line = tuple[int, str]
"""Line number, from 1, and text."""
TextRow = tuple[int, Sequence[str]]
"""Line number, from 1, and cells."""

_FIRST_ROWS = 100  # used to detect the number of columns and the separator of a file without a header
_SEPARATORS = (",", ";", "\t", "|")  # of CSV, in order of preference
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;]*')  # first line of a CSV file that declares its separator for Excel
_BACKSLASHED = re.compile(r'\\(["\\])')
_MAX_CELL_LINES = 1000  # of a quoted cell
_MAX_CELL_CHARACTERS = 2**17  # of a quoted cell; the default limit of the csv module


class Columns(NamedTuple):
    """The columns of the two sides, from 0, and the number of cells per row."""

    source: int
    target: int
    width: int


def is_numbered(fields: Fields) -> bool:
    """Returns true if `fields` has column numbers, from 1, instead of names; then there is no header row."""
    return all(name.isdecimal() and int(name) > 0 for name in (fields.source, fields.target))


def named_columns(header: Sequence[str], fields: Fields) -> Columns | None:
    """Returns the columns of a header, or None if a name is missing."""
    if fields.source not in header or fields.target not in header:
        return None
    return Columns(header.index(fields.source), header.index(fields.target), len(header))


def numbered_columns(rows: Iterable[Sequence[str]], fields: Fields) -> Columns:
    """Returns the numbered columns; the width is that of most of the given first rows."""
    source, target = int(fields.source) - 1, int(fields.target) - 1
    widths = Counter(len(row) for row in rows if len(row) > max(source, target))
    return Columns(source, target, widths.most_common(1)[0][0] if widths else max(source, target) + 1)


def names_of(cells: Iterable[object]) -> list[str]:
    """Returns the names in a header row."""
    return ["" if cell is None else str(cell).strip("\ufeff \t\r\n") for cell in cells]


def pairs_of(rows: Iterable[TextRow], columns: Columns, file: str, skipped: Skipped) -> Iterator[Pair]:
    """Yields the two cells of every row; counts rows with a wrong number of cells as malformed.

    Trailing cells may be missing, as many programs omit empty ones, unless a side is among them. Empty rows are
    skipped.
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


def read_tsv(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads tab-separated cells, one row per line; quotation marks have no special meaning."""
    lines = enumerate(text_lines(path, skipped), 1)
    return _pairs(path, ((number, line.split("\t")) for number, line in lines if line), fields, skipped)


def read_csv(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads cells separated by commas, or by semicolons, tabs or bars if detected in the header or first rows.

    A quoted cell may contain separators, line breaks, and quotation marks, doubled or after a backslash. Of an invalid
    row, only the first line is skipped.
    """
    lines = ((number, line) for number, line in enumerate(text_lines(path, skipped), 1) if line)
    first = list(islice(lines, _FIRST_ROWS))
    if first and (declared := _SEP_LINE.fullmatch(first[0][1])):
        first, separator = first[1:], declared[1]
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
    """Returns the separator whose header has both names, or without a header, the one most rows agree on."""
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
    return max(fits, key=lambda separator: fits[separator])  # the first of equals


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
                "a misplaced quotation mark: quote the whole cell, and double the marks inside, as Excel does",
            )


def _in_one_line(line: str, separator: str) -> list[str] | None:
    """Returns the cells if the line is a complete record; None if it continues or is malformed."""
    for text in (line, _doubled(line)) if "\\" in line else (line,):
        try:
            return next(csv.reader([text], delimiter=separator, strict=True))
        except csv.Error:
            continue
    return None


def _in_several(line: str, ahead: "_Ahead", separator: str) -> list[str] | None:
    """Returns the cells of a record that continues on the next lines, which are consumed; None if it is malformed."""
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
    """Yields a line and the following ones, which are appended to `taken`, up to the limits of a quoted cell."""
    yield f"{spelled(line)}\n"
    characters = 0
    for number, text in islice(ahead, _MAX_CELL_LINES):
        taken.append((number, text))
        characters += len(text)
        if characters > _MAX_CELL_CHARACTERS:
            return
        yield f"{spelled(text)}\n"


def _doubled(text: str) -> str:
    """Replaces backslash escapes: quotation marks are doubled as in CSV, double backslashes become single."""
    return _BACKSLASHED.sub(lambda found: '""' if found[1] == '"' else "\\", text)


class _Ahead:
    """An iterator of lines that accepts lines back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._back.popleft() if self._back else next(self._lines)

    def put_back(self, lines: Sequence[Line]) -> None:
        """Returns lines to the front, in order."""
        self._back.extendleft(reversed(lines))
