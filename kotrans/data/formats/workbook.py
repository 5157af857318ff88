"""Excel workbooks (.xlsx)."""

import logging
import re
import warnings
import zlib
from collections.abc import Iterator
from datetime import date, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import openpyxl
from openpyxl.cell.read_only import EMPTY_CELL
from openpyxl.utils.exceptions import InvalidFileException

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Pair, Skipped, no_such_fields, one_line_each, text_of
from kotrans.data.formats.separated import Columns, is_numbered, named_columns, names_of
from kotrans.errors import DataError
from kotrans.storage.files import read_bytes

logger = logging.getLogger(__name__)

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # a UTF-16 unit that XML cannot represent, or an escaped "_"
_ESCAPES = re.compile(f"(?:{_ESCAPE.pattern.replace('(', '(?:')})+")


def read_xlsx(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads every sheet whose first row has both names, such as AI-Hub's 원문 and 번역문, or the sheet set in `fields`.

    Numbered columns are those of the first sheet with text in them. A workbook is read into memory: a sheet has at
    most 1,048,576 rows, and its texts are in a single table.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and print areas
            pairs = list(_pairs(path, BytesIO(read_bytes(path)), fields, skipped))
    except (
        InvalidFileException,
        BadZipFile,
        zlib.error,
        ParseError,
        LookupError,
        AttributeError,
        TypeError,
        OSError,
        ValueError,
    ) as error:
        raise DataError(f"{path}: not a readable Excel workbook (.xlsx) ({error}); save it again in Excel") from None
    yield from pairs


def _pairs(path: Path, stream: BinaryIO, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    workbook = openpyxl.load_workbook(stream, read_only=True, data_only=True)
    headers: list[str] = []
    has_columns = False
    for sheet in _sheets(path, workbook, fields):
        sheet.reset_dimensions()  # some programs store a wrong size, which would hide rows
        header = names_of(cell.value for cell in next(sheet.iter_rows(max_row=1), ()))
        headers += [name for name in header if name]
        if is_numbered(fields):
            columns, first = Columns(int(fields.source) - 1, int(fields.target) - 1, 0), 1
        elif named := named_columns(header, fields):
            columns, first = named, 2
        else:
            continue
        has_columns = True
        rows = list(_rows(sheet, columns, first))
        stored = any(side is None for row in rows for side in row)
        formulas = _formulas(stream, sheet.title, columns) if stored else set()
        pairs = list(_checked(rows, formulas, f"{path}, {sheet.title} row", skipped))
        logger.info("%s: sheet %s has %d pairs", path, sheet.title, len(pairs))
        yield from pairs
        if pairs and is_numbered(fields):
            break
    if not has_columns:
        missing = [name for name in (fields.source, fields.target) if name not in headers]
        raise DataError(f"{path}:1: {no_such_fields(missing or [fields.source, fields.target], headers)}")


def _sheets(path: Path, workbook: Any, fields: Fields) -> list[Any]:
    sheets = list(workbook.worksheets)
    if fields.sheet is None:
        return sheets
    if named := [sheet for sheet in sheets if sheet.title == fields.sheet]:
        return named
    titles = ", ".join(repr(sheet.title) for sheet in sheets)
    raise DataError(f"{path}: there is no sheet {fields.sheet!r}, but {titles}; name one of them in fields.sheet")


class _Row(NamedTuple):
    """The two sides of a row; None for a cell without a value, which may be a formula."""

    number: int
    korean: "str | _Odd | None"
    english: "str | _Odd | None"
    blank: bool
    """True if no cell of the row has a value."""


class _Odd(NamedTuple):
    """A cell whose value is not text."""

    problem: str


def _rows(sheet: Any, columns: Columns, first: int) -> Iterator[_Row]:
    for number, row in enumerate(sheet.iter_rows(min_row=first), first):
        korean, english = (
            _content(row[column]) if column < len(row) else "" for column in (columns.source, columns.target)
        )
        blank = all(cell.value is None for cell in row)
        if not blank or korean is None or english is None:
            yield _Row(number, korean, english, blank)


def _content(cell: Any) -> "str | _Odd | None":
    value = cell.value
    if cell is EMPTY_CELL:
        return ""
    if value is None:
        return None
    if cell.data_type == "e":
        return _Odd(f"is the error {value}")
    if isinstance(value, str):
        return _ESCAPES.sub(_unescaped, value) if "_x" in value else value
    if isinstance(value, bool):
        return _Odd(f"is {str(value).upper()}, not text")
    if isinstance(value, date | time | timedelta):
        return _Odd(f"is a date or time ({value}), not text; in Excel, give the column the format Text")
    text = text_of(value)
    if text is None:
        return _Odd(f"is a {type(value).__name__}, not text")
    return f"{value * 100:.10g}%" if "%" in cell.number_format else text.removesuffix(".0")


def _unescaped(found: re.Match[str]) -> str:
    """Decodes escaped UTF-16 units."""
    units = bytes.fromhex("".join(_ESCAPE.findall(found[0])))
    return units.decode("utf-16-be", "replace")


def _formulas(stream: BinaryIO, title: str, columns: Columns) -> set[int]:
    """Returns the rows with a formula in one of the columns; openpyxl reads either formulas or their values."""
    sheet: Any = openpyxl.load_workbook(stream, read_only=True)[title]
    sheet.reset_dimensions()
    sides = (columns.source, columns.target)
    return {
        number
        for number, row in enumerate(sheet.iter_rows(), 1)
        if any(column < len(row) and row[column].data_type == "f" for column in sides)
    }


def _checked(rows: list[_Row], formulas: set[int], where: str, skipped: Skipped) -> Iterator[Pair]:
    for number, korean, english, blank in rows:
        odd = next((side for side in (korean, english) if isinstance(side, _Odd)), None)
        if odd is None and number in formulas and (korean is None or english is None):
            odd = _Odd("is a formula without a stored value; open the file in Excel and save it")
        if odd is not None:
            skipped.reject("not_text", f"{where} {number}", odd.problem)
        elif not blank and not isinstance(korean, _Odd) and not isinstance(english, _Odd):
            yield one_line_each(korean or "", english or "")
