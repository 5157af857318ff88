"""Parquet files, as on the Hugging Face Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Pair, Skipped, no_such_fields
from kotrans.data.formats.records import record_pair
from kotrans.errors import DataError

_ROWS = 1000  # in memory at once


def read_parquet(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads two columns, or two fields of a column of structures: `translation.ko`. Raises DataError."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'kotrans[parquet]'") from None
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            columns = [_column(name, names) for name in (fields.source, fields.target)]
            if missing := [
                name for name, column in zip((fields.source, fields.target), columns, strict=True) if not column
            ]:
                raise DataError(f"{path}: {no_such_fields(missing, names, _nested(file.schema_arrow, fields))}")
            yield from _rows(path, file, list(dict.fromkeys(columns)), fields, skipped)
    except (ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{path}: {error.strerror}") from None
        raise DataError(f"{path}: not a Parquet file that can be read ({' '.join(str(error).split())})") from None


def _rows(path: Path, file: Any, columns: list[str | None], fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    number = 0
    for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
        for record in batch.to_pylist():
            number += 1
            if pair := record_pair(record, fields, f"{path}: row {number:,}", skipped):
                yield pair


def _column(name: str, names: list[str]) -> str | None:
    """Returns the column that holds a field, or None."""
    return name if name in names else outer if (outer := name.partition(".")[0]) in names else None


def _nested(schema: Any, fields: Fields) -> Fields | None:
    """Returns the full names of the fields if they are inside a column of structures."""
    for column in schema:
        inner = {field.name for field in column.type} if str(column.type).startswith("struct<") else set()
        if {fields.source, fields.target} <= inner:
            return Fields(source=f"{column.name}.{fields.source}", target=f"{column.name}.{fields.target}")
    return None
