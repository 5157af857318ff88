"""A split's files in any format, read as pairs."""

from collections.abc import Callable
from pathlib import Path

from kotrans.config.sections import Fields, Format, SplitFiles
from kotrans.corpus.formats.exchange import read_po, read_tmx
from kotrans.corpus.formats.pairs import Pairs
from kotrans.corpus.formats.records import read_json, read_jsonl
from kotrans.corpus.formats.tables import read_csv, read_tsv, read_xlsx
from kotrans.errors import ConfigError, DataError
from kotrans.files import read_lines

_READERS: dict[Format, Callable[[Path, Fields], Pairs]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "json": read_json,
    "tmx": read_tmx,
    "po": read_po,
    "xlsx": read_xlsx,
}


def read_pairs(files: SplitFiles, format: Format, fields: Fields) -> Pairs:
    """The pairs as they stand in the files.

    Raises ConfigError if the format wants other files, DataError naming file and line if they cannot be read, if their
    numbers of lines differ, or if there is no pair in them.
    """
    if files.source is not None and files.target is not None:
        if format != "lines":
            raise ConfigError(f"{files.source}: format `{format}` has both sides in one file; give it as `path`")
        pairs = _read_line_aligned(files.source, files.target)
    elif files.path is not None:
        if format == "lines":
            raise ConfigError(f"{files.path}: format `lines` needs two files; give them as `source` and `target`")
        pairs = _READERS[format](files.path, fields)
    if not any(pairs.source) and not any(pairs.target):
        raise DataError(f"{files.path or files.source}: there is no text in it; check that it is the right file")
    return pairs


def _read_line_aligned(source: Path, target: Path) -> Pairs:
    pairs = Pairs(read_lines(source), read_lines(target))
    if len(pairs.source) != len(pairs.target):
        raise DataError(
            f"{source.parent}: {source.name} has {len(pairs.source):,} lines but {target.name} has "
            f"{len(pairs.target):,}; line N of one must translate line N of the other"
        )
    return pairs
