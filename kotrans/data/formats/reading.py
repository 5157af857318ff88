"""A split's files in any format, read as pairs."""

import logging
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from kotrans.config.sections import CleaningConfig, Fields, Format, SplitFiles
from kotrans.data.formats.pairs import Pair, Pairs, Skipped
from kotrans.data.formats.po import read_po
from kotrans.data.formats.records import read_json, read_jsonl
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
}
_MAX_MALFORMED = CleaningConfig().max_malformed


class NoText(DataError):
    """A file can be read, but there is no text in it."""


def read_pairs(files: SplitFiles, format: Format, fields: Fields) -> Pairs:
    """The pairs of `stream_pairs`, all in memory."""
    return Pairs.of(stream_pairs(files, format, fields))


def stream_pairs(
    files: SplitFiles,
    format: Format,
    fields: Fields,
    skipped: Skipped | None = None,
    max_malformed: float = _MAX_MALFORMED,
) -> Iterator[Pair]:
    """The pairs as they stand in the files, one at a time.

    What gives no pair is counted in `skipped`, when all is read.
    Raises ConfigError if the format wants other files; DataError naming file and line if they cannot be read, if their
    numbers of lines differ, or if more than a share of `max_malformed` of their records is malformed; NoText if there
    is no text in them. A catalogue without a translation is none of these.
    """
    file = str(files.path or files.source)
    mine = Skipped(file)
    pairs = _stream(files, format, fields, mine)
    count = 0
    there_is_text = False
    for pair in pairs:
        count += 1
        if not there_is_text:
            mine.has_pairs = True
            there_is_text = bool(pair[0] or pair[1])
        yield pair
    mine.check(count, max_malformed)
    if not there_is_text and not mine.unused:
        raise NoText(f"{file}: there is no text in it; check that it is the right file")
    logger.info("%s: %d pairs, %s malformed, %s not used", file, count, dict(mine.malformed), dict(mine.unused))
    if skipped is not None:
        skipped.add(mine)


def _stream(files: SplitFiles, format: Format, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    if files.source is not None and files.target is not None:
        if format != "lines":
            raise ConfigError(f"{files.source}: format `{format}` has both sides in one file; give it as `path`")
        return _stream_line_aligned(files.source, files.target, skipped)
    assert files.path is not None  # the config sees to it
    if format == "lines":
        raise ConfigError(f"{files.path}: format `lines` needs two files; give them as `source` and `target`")
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


_END = "\n"  # no line is that
