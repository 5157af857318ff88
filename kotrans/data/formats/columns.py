"""Which columns of a table hold the two sides, and the rows that have them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Pair
from kotrans.data.formats.skipped import Skipped

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
