"""A split's files in any format, read as pairs."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.corpus.formats.exchange import read_po, read_tmx
from kotrans.corpus.formats.pairs import Pair, Pairs
from kotrans.corpus.formats.records import read_json, read_jsonl
from kotrans.corpus.formats.tables import read_csv, read_tsv, read_xlsx
from kotrans.errors import ConfigError, DataError
from kotrans.files import stream_lines

_READERS: dict[Format, Callable[[Path, Fields], Iterator[Pair]]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "json": read_json,
    "tmx": read_tmx,
    "po": read_po,
    "xlsx": read_xlsx,
}


class NoText(DataError):
    """A file can be read, but there is no text in it."""


def read_pairs(files: SplitFiles, format: Format, fields: Fields) -> Pairs:
    """The pairs of `stream_pairs`, all in memory."""
    return Pairs.of(stream_pairs(files, format, fields))


def stream_pairs(files: SplitFiles, format: Format, fields: Fields) -> Iterator[Pair]:
    """The pairs as they stand in the files, one at a time.

    Raises ConfigError if the format wants other files, DataError naming file and line if they cannot be read, if their
    numbers of lines differ, and NoText if there is no text in them.
    """
    there_is_text = False
    for source, target in _stream(files, format, fields):
        there_is_text = there_is_text or bool(source or target)
        yield source, target
    if not there_is_text:
        raise NoText(f"{files.path or files.source}: there is no text in it; check that it is the right file")


def _stream(files: SplitFiles, format: Format, fields: Fields) -> Iterator[Pair]:
    if files.source is not None and files.target is not None:
        if format != "lines":
            raise ConfigError(f"{files.source}: format `{format}` has both sides in one file; give it as `path`")
        return _stream_line_aligned(files.source, files.target)
    assert files.path is not None  # the config sees to it
    if format == "lines":
        raise ConfigError(f"{files.path}: format `lines` needs two files; give them as `source` and `target`")
    return _READERS[format](files.path, fields)


def _stream_line_aligned(source: Path, target: Path) -> Iterator[Pair]:
    sides = stream_lines(source), stream_lines(target)
    pairs = 0
    for korean, english in zip_longest(*sides):
        if korean is None or english is None:
            break
        pairs += 1
        yield korean, english
    else:
        return
    more = [(line is not None) + sum(1 for _ in side) for line, side in zip((korean, english), sides, strict=True)]
    raise DataError(
        f"{source.parent}: {source.name} has {pairs + more[0]:,} lines but {target.name} has {pairs + more[1]:,}; "
        "line N of one must translate line N of the other"
    )
