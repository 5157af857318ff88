"""Reads the lines of a text file with any line ends, and skips lines that are not UTF-8."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kotrans.data.formats.pairs import Skipped
from kotrans.errors import DataError
from kotrans.storage.files import encoding_hint, open_text

PART = 2**16
"""Bytes read at once."""
LONGEST = 16 * 2**20
"""Maximum bytes per line; longer lines are skipped without reading them into memory."""
_BEGINNING = 2**16
_BOM = b"\xef\xbb\xbf"


def text_lines(path: Path, skipped: Skipped, part: int = PART, longest: int = LONGEST) -> Iterator[str | None]:
    """Yields the lines of a UTF-8 file without line ends and byte order mark.

    Lines end with LF or CR LF, or with CR in a file without LF. A line that is not UTF-8 or too long is counted in
    `skipped`, and None is yielded in its place. If only ASCII precedes it, the whole file has another encoding.
    Raises DataError with file, line and likely encoding in that case.
    """
    number = 0
    utf8 = False  # true once a non-ASCII character has been read
    with open_text(path) as file:
        for block in _blocks(file, part, longest):
            if block is None:
                number += 1
                skipped.reject("too_long", f"{path}:{number}", f"a line of more than {longest:,} bytes")
                yield None
                continue
            try:
                text = block.decode()
            except UnicodeDecodeError:
                for line in block.split(b"\n"):
                    number += 1
                    decoded = _decoded(line, path, number, utf8, skipped)
                    utf8 = utf8 or bool(decoded and not decoded.isascii())
                    yield decoded
                continue
            utf8 = utf8 or not text.isascii()
            lines = text.replace("\r\n", "\n").removesuffix("\r").split("\n") if "\r" in text else text.split("\n")
            number += len(lines)
            yield from lines


def beginning(path: Path) -> str:
    """Returns the first characters of a file; bytes that are not UTF-8 are replaced."""
    with open_text(path) as file:
        return file.read(_BEGINNING).decode("utf-8-sig", "replace")


def _blocks(file: BinaryIO, part: int, longest: int) -> Iterator[bytes | None]:
    """Yields blocks of complete lines, each without its last line end, and None in place of a line too long.

    CR is replaced by LF if the file has no LF.
    """
    data = file.read(max(part, len(_BOM))).removeprefix(_BOM)
    if data.endswith(b"\r"):
        data += file.read(1)
    carriage_returns = b"\n" not in data and b"\r" in data
    begun: list[bytes] = []  # beginning of an incomplete line
    length = 0  # of that line
    while data:
        if carriage_returns:
            data = data.replace(b"\r", b"\n")
        whole, end, rest = data.rpartition(b"\n")
        if end and length > longest:
            yield None
            _, end, whole = whole.partition(b"\n")
            if end:
                yield whole
            length = 0
        elif end:
            yield b"".join([*begun, whole])
            begun, length = [], 0
        length += len(rest)
        if length > longest:
            begun = []
        elif rest:
            begun.append(rest)
        data = file.read(part)
    if length > longest:
        yield None
    elif begun:
        yield b"".join(begun)


def _decoded(raw: bytes, path: Path, number: int, utf8: bool, skipped: Skipped) -> str | None:
    try:
        return raw.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        problem = f"not UTF-8 text{encoding_hint(raw)}"
        if not utf8:
            raise DataError(f"{path}:{number}: {problem}") from None
        skipped.reject("encoding", f"{path}:{number}", problem)
        return None
