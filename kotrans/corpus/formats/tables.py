"""Rows and columns: tab-separated, comma-separated, and Excel."""

import csv
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from kotrans.config.sections import Fields
from kotrans.corpus.formats.pairs import Pair, cell_text, missing_field, one_line_each
from kotrans.errors import DataError
from kotrans.files import read_bytes, stream_lines

Row = tuple[int, Sequence[object]]  # its line or row number, counted from 1, and its cells


def read_tsv(path: Path, fields: Fields) -> Iterator[Pair]:
    """Cells between tabs; quotation marks are text like any other, and a row is one line."""
    return _pairs(path, ((number, line.split("\t")) for number, line in enumerate(stream_lines(path), 1)), fields)


def read_csv(path: Path, fields: Fields) -> Iterator[Pair]:
    """Comma-separated; a quoted cell may hold commas, doubled quotation marks and line breaks."""
    reader = csv.reader((f"{line}\n" for line in stream_lines(path)), strict=True)
    try:
        yield from _pairs(path, ((reader.line_num, row) for row in reader), fields)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV ({error}); quote cells as Excel does") from None


def read_xlsx(path: Path, fields: Fields) -> Iterator[Pair]:
    """The first sheet whose first row names both columns, as in AI-Hub's 원문 and 번역문; an empty cell is "".

    A workbook is read as a whole: a sheet has at most 1,048,576 rows, and its texts are in one table anyway.
    """
    read_bytes(path)  # a missing file gets the message that it gets in every format
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and print areas, which are not read
            pairs = list(_read_workbook(path, fields))
    except (
        InvalidFileException,
        BadZipFile,
        zlib.error,
        ParseError,
        KeyError,
        TypeError,
        OSError,
        ValueError,
    ) as error:
        raise DataError(f"{path}: not an Excel workbook (.xlsx) that can be read ({error}); save it anew") from None
    yield from pairs


def _read_workbook(path: Path, fields: Fields) -> Iterator[Pair]:
    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        headers: list[str] = []
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # some writers note a wrong size, which would hide rows
            header = next(sheet.iter_rows(max_row=1, values_only=True), ())
            headers += (names := _names(header))
            if _is_numbered(fields) or {fields.source, fields.target} <= set(names):
                padding = (None,) * len(header)  # a row ends at its last cell that is not empty
                yield from _pairs(path, ((n, (*row, *padding)) for n, row in enumerate(sheet.values, 1)), fields)
                return
        raise missing_field(path, 1, [fields.source, fields.target], [name for name in headers if name])
    finally:
        workbook.close()


def _pairs(path: Path, rows: Iterable[Row], fields: Fields) -> Iterator[Pair]:
    rows = iter(rows)
    names = (fields.source, fields.target)
    if _is_numbered(fields):
        source, target = (int(name) - 1 for name in names)
    else:
        source, target = _columns(path, next(rows, (1, ())), names)
    for number, row in rows:
        if not any(row):
            continue  # a blank row
        if len(row) <= max(source, target):
            raise DataError(f"{path}:{number}: has {len(row)} columns, but column {max(source, target) + 1} is needed")
        where = f"{path}:{number}"
        yield one_line_each(cell_text(row[source], where), cell_text(row[target], where))


def _is_numbered(fields: Fields) -> bool:
    """Columns may be counted from 1 instead of named; then there is no header row."""
    return all(name.isdecimal() and int(name) > 0 for name in (fields.source, fields.target))


def _columns(path: Path, header: Row, names: tuple[str, str]) -> tuple[int, int]:
    number, cells = header
    found = _names(cells)
    if missing := [name for name in names if name not in found]:
        raise missing_field(path, number, missing, [name for name in found if name])
    return found.index(names[0]), found.index(names[1])


def _names(cells: Sequence[object]) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in cells]
