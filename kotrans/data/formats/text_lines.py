"""Lines of a text file, whatever program wrote their ends; a line that is not UTF-8 costs that line."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kotrans.data.formats.pairs import Skipped
from kotrans.errors import DataError
from kotrans.storage.files import encoding_hint, opened

PART = 2**16
"""Bytes read at once."""
LONGEST = 16 * 2**20
"""Bytes of a line; a longer one is counted, and never in memory as a whole."""
_BEGINNING = 2**16
_BOM = b"\xef\xbb\xbf"


def text_lines(path: Path, skipped: Skipped, part: int = PART, longest: int = LONGEST) -> Iterator[str | None]:
    """The lines of a UTF-8 file without their ends and without a byte order mark.

    Lines end with a line feed, with or without a carriage return before it; in a file without line feeds, with a
    carriage return. None takes the place of a line that is not UTF-8 or too long, which is counted in `skipped`. If
    only ASCII was before it, the whole file is in another encoding: then DataError names file, line and encoding.
    """
    number = 0
    utf8 = False  # whether a character other than ASCII has been read
    with opened(path) as file:
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
    with opened(path) as file:
        return file.read(_BEGINNING).decode("utf-8-sig", "replace")


def _blocks(file: BinaryIO, part: int, longest: int) -> Iterator[bytes | None]:
    """The file in blocks of whole lines, each without its last line end; None takes the place of a line too long.

    A carriage return is made a line feed if no line ends with that.
    """
    data = file.read(max(part, len(_BOM))).removeprefix(_BOM)
    if data.endswith(b"\r"):
        data += file.read(1)
    carriage_returns = b"\n" not in data and b"\r" in data
    begun: list[bytes] = []  # of a line that is longer than what is read at once
    length = 0  # of that line so far
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
