"""Reads the files of a split in any format."""

import logging
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from kotrans.config.sections import CleaningConfig, Fields, Format, SplitFiles
from kotrans.data.formats.pairs import Pair, Pairs, Skipped
from kotrans.data.formats.parquet import read_parquet
from kotrans.data.formats.po import read_po
from kotrans.data.formats.records import read_json, read_jsonl
from kotrans.data.formats.segments import read_segments
from kotrans.data.formats.separated import read_csv, read_tsv
from kotrans.data.formats.text_lines import text_lines
from kotrans.data.formats.tmx import read_tmx
from kotrans.data.formats.workbook import read_xlsx
from kotrans.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

_READERS: dict[Format, Callable[[Path, Fields, Skipped], Iterator[Pair]]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "json": read_json,
    "tmx": read_tmx,
    "po": read_po,
    "xlsx": read_xlsx,
    "parquet": read_parquet,
}
_MAX_MALFORMED = CleaningConfig().max_malformed
_END = "\n"  # marks the end of a file; no line equals it


class NoText(DataError):
    """A file is readable but contains no text."""


def read_pairs(files: SplitFiles, format: Format, fields: Fields) -> Pairs:
    """Reads the pairs of `stream_pairs` into memory."""
    return Pairs.of(stream_pairs(files, format, fields))


def stream_pairs(
    files: SplitFiles,
    format: Format,
    fields: Fields,
    skipped: Skipped | None = None,
    max_malformed: float = _MAX_MALFORMED,
) -> Iterator[Pair]:
    """Yields the pairs of the files, unchanged and in order.

    Records that are not pairs are added to `skipped` at the end.
    Raises ConfigError if the format needs other files; DataError with file and line if they cannot be read, their
    numbers of lines differ, or more than a share of `max_malformed` of their records is malformed; NoText if they
    contain no text. A catalogue without translations is not an error.
    """
    file = str(files.path or files.source)
    own = Skipped(file)
    pairs = _stream(files, format, fields, own)
    count = 0
    has_text = False
    for pair in pairs:
        count += 1
        if not has_text:
            own.has_pairs = True
            has_text = bool(pair[0] or pair[1])
        yield pair
    own.check(count, max_malformed)
    if not has_text and not own.unused:
        raise NoText(f"{file}: there is no text in it; check that it is the right file")
    logger.info("%s: %d pairs, malformed: %s, unused: %s", file, count, dict(own.malformed), dict(own.unused))
    if skipped is not None:
        skipped.add(own)


def _stream(files: SplitFiles, format: Format, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    if files.source is not None and files.target is not None:
        if format in _READERS:
            raise ConfigError(f"{files.source}: format `{format}` has both sides in one file; name it as `path`")
        read = read_segments if format == "sgm" else _stream_line_aligned
        return read(files.source, files.target, skipped)
    assert files.path is not None  # the config requires it
    if format not in _READERS:
        raise ConfigError(f"{files.path}: format `{format}` needs two files; name them as `source` and `target`")
    return _READERS[format](files.path, fields, skipped)


def _stream_line_aligned(source: Path, target: Path, skipped: Skipped) -> Iterator[Pair]:
    sides = text_lines(source, skipped), text_lines(target, skipped)
    pairs = 0
    for korean, english in zip_longest(*sides, fillvalue=_END):
        if korean is _END or english is _END:
            break
        pairs += 1
        if korean is not None and english is not None:
            yield korean, english
    else:
        return
    more = [(line is not _END) + sum(1 for _ in side) for line, side in zip((korean, english), sides, strict=True)]
    raise DataError(
        f"{source.parent}: {source.name} has {pairs + more[0]:,} lines but {target.name} has {pairs + more[1]:,}; "
        "line N of one must translate line N of the other"
    )
