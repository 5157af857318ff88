"""Decompression of text while it is read, and rejection of binary files. The first bytes determine the type."""

import bz2
import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from kotrans.errors import DataError

_HEAD = 512  # bytes that are examined; the magic number of a tar archive is at offset 257


_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_BZ2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after "BZh" and a digit: a block, or the end of an empty stream

_SAVE_AS_TEXT = "save it as UTF-8 text"
_BINARY = (
    (b"PAR1", "Parquet", "write it as JSON Lines (in pandas: read_parquet, then to_json with lines=True)"),
    (b"ARROW1\x00\x00", "Arrow", "write it as JSON Lines or TSV"),
    (b"Obj\x01", "Avro", "write it as JSON Lines or TSV"),
    (b"SQLite format 3\x00", "an SQLite database", "write its table as CSV or TSV"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "write it as JSON Lines or TSV"),
    (b"\x93NUMPY", "a NumPy array", "write it as JSON Lines or TSV"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "unpack it with `7z x`"),
    (b"Rar!\x1a\x07", "RAR", "unpack it with `unrar x`"),
    (b"LZIP\x01", "lzip", "unpack it with `lzip -d`"),
    (b"\x04\x22\x4d\x18", "LZ4", "unpack it with `lz4 -d`"),
    (b"\x1f\x9d", "compress (.Z)", "unpack it with `uncompress`"),
    (b"%PDF-", "PDF", "copy its text into a UTF-8 text file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office or HWP file", "save it as .xlsx or as UTF-8 text"),
    (b"HWP Document File", "HWP", _SAVE_AS_TEXT),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", "check that it is the right file"),
    (b"\xff\xd8\xff", "a JPEG image", "check that it is the right file"),
    (b"\x7fELF", "an executable", "check that it is the right file"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "fetch the file itself with `git lfs pull`"),
)  # fmt: skip
_NEEDS_NUL = (b"PAR1", b"HWP Document File")  # text may begin with these letters, but contains no NUL
# Zip files that are documents, recognized by the prefix of a member's name.
_DOCUMENTS = (
    ("xl/", "an Excel workbook", "use `format: xlsx`, or save it as UTF-8 text"),
    ("word/", "a Word document", _SAVE_AS_TEXT),
    ("ppt/", "a PowerPoint document", _SAVE_AS_TEXT),
    ("mimetype", "an OpenDocument, HWPX or EPUB file", _SAVE_AS_TEXT),
)


class _BoundedLines(BufferedReader):
    """A decompressed stream that raises DataError for a line of more than `longest` bytes."""

    def __init__(self, raw: IO[bytes], where: str, longest: int) -> None:
        super().__init__(cast(RawIOBase, raw), 2**17)
        self._where = where
        self._longest = longest

    def __next__(self) -> bytes:
        line = self.readline(self._longest)
        if not line:
            raise StopIteration
        if len(line) == self._longest and not line.endswith(b"\n"):
            raise DataError(f"{self._where}: has a line of more than {self._longest:,} bytes; check that it is text")
        return line


@contextmanager
def decompressed(file: BufferedReader, where: Path | str, longest_line: int = 64 * 2**20) -> Iterator[BufferedReader]:
    """Yields a stream of the decompressed content, or the file itself if it is not compressed.

    Supports gzip, bzip2, xz, zstd, and zip with a single member, in bounded memory. Raises DataError beginning with
    `where` if the file is damaged, compressed twice, or a binary file of a known type, or if a decompressed line has
    more than `longest_line` bytes: a small archive may decompress to gigabytes without a line end.
    """
    head = file.peek(_HEAD)[:_HEAD]
    kind = _compression(head)
    if kind is None:
        _refuse_binary(head, str(where))
        yield file
        return
    damage: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
    if kind == "zstd":
        damage += (_zstd(where).ZstdError,)
    try:
        with _open(kind, file, str(where)) as raw, _BoundedLines(raw, str(where), longest_line) as content:
            head = content.peek(_HEAD)[:_HEAD]
            if (inner := _compression(head)) is not None:
                raise DataError(f"{where}: is compressed twice ({inner} inside {kind}); decompress it once")
            _refuse_binary(head, f"{where} ({kind}, decompressed)")
            yield content
    except damage as error:
        raise _damaged(kind, error, where) from None
    except OSError as error:
        if error.errno is not None:  # a problem of the disk, not of the content
            raise
        raise _damaged(kind, error, where) from None


def _compression(head: bytes) -> str | None:
    if head.startswith(b"BZh") and head[4:10] in _BZ2_BLOCKS:
        return "bzip2"
    return next((kind for magic, kind in _COMPRESSED if head.startswith(magic)), None)


def _refuse_binary(head: bytes, where: str) -> None:
    """Raises DataError if these are the first bytes of a file that has to be converted to text."""
    for magic, what, remedy in _BINARY:
        if head.startswith(magic) and (magic not in _NEEDS_NUL or b"\x00" in head):
            raise DataError(f"{where}: is {what}, not text; {remedy}")
    if head[257:262] == b"ustar":
        raise DataError(f"{where}: is a tar archive, not text; unpack it with `tar xf` and name the files in it")


def _open(kind: str, file: BufferedReader, where: str) -> IO[bytes]:
    match kind:
        case "gzip":
            return cast(IO[bytes], gzip.GzipFile(fileobj=file))
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case "zstd":
            return cast(IO[bytes], _zstd(where).ZstdFile(file))
    return _open_member(file, where)


def _zstd(where: Path | str) -> ModuleType:
    """Imports zstd only if it is needed: an environment for translating may lack the package."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        raise DataError(f"{where}: is compressed with zstd; run pip install backports.zstd, or decompress it") from None
    return zstd


def _open_member(file: BufferedReader, where: str) -> IO[bytes]:
    """Opens the only member of a zip archive."""
    if not file.seekable():
        raise DataError(f"{where}: is a zip archive, which cannot be read from a pipe; use a file")
    archive = zipfile.ZipFile(file)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    for beginning, what, remedy in _DOCUMENTS:
        if any(name.startswith(beginning) for name in names):
            raise DataError(f"{where}: is {what}, not text; {remedy}")
    if len(names) != 1:
        shown = f" ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})" if names else ""
        raise DataError(f"{where}: is a zip archive of {len(names)} files{shown}; unpack it and name the files in it")
    try:
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unsupported compression method
        raise DataError(
            f"{where}: is a zip archive that cannot be read ({error}); unpack it with another program"
        ) from None


def _damaged(kind: str, error: Exception, where: Path | str) -> DataError:
    return DataError(f"{where}: is a damaged or incomplete {kind} file ({error}); download or create it again")
