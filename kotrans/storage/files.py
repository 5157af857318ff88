"""All-or-nothing writes, reading of UTF-8 text, and hashes."""

import codecs
import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kotrans.errors import CheckpointError, DataError
from kotrans.storage.compressed import decompressed
from kotrans.storage.paths import similar_paths
from kotrans.storage.scratch import new_scratch

if TYPE_CHECKING:
    import numpy.typing as npt

_PART = 2**20  # bytes per read of `stream_text`


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """Yields a temporary folder that is synced to disk and renamed to `final` only if the block succeeds.

    A crash leaves it for `remove_abandoned`. Raises FileExistsError if `final` is by then a folder that is not empty.
    """
    with new_scratch(final, folder=True) as scratch:
        yield scratch
        for path in scratch.rglob("*"):
            sync(path)
        sync(scratch)
        _rename(scratch, final)
        sync(final.parent)


@contextmanager
def new_file(final: Path) -> Iterator[Path]:
    """Yields a temporary file that is synced to disk and replaces `final` only if the block succeeds.

    A symbolic link stays one; its target is replaced. A device or pipe such as /dev/null is yielded itself.
    """
    final = Path(os.path.realpath(final))
    if final.exists() and not final.is_file() and not final.is_dir():
        yield final
        return
    with new_scratch(final, folder=False) as scratch:
        yield scratch
        sync(scratch)
        os.replace(scratch, final)
        sync(final.parent)


@contextmanager
def disk_errors(path: Path, consequence: str) -> Iterator[None]:
    """Inside the block, an OSError (disk full, not writable) becomes a CheckpointError of one line."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: {write_problem(error)}; {consequence}") from None


def write_problem(error: OSError) -> str:
    """Returns the message part for a file that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "the disk is full" if full else f"cannot be written ({error.strerror or error})"


def sync(path: Path) -> None:
    """Flushes a file or folder to disk. Windows needs a writable handle, and has no handles for folders."""
    windows = sys.platform == "win32"
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rename(folder: Path, final: Path) -> None:
    if sys.platform == "win32":  # renames only to a path that does not exist
        with suppress(OSError):
            final.rmdir()
    try:
        os.rename(folder, final)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from None
        raise


def write_array(file: BinaryIO, array: "npt.NDArray[Any]") -> None:
    """Writes an array's bytes. Unlike `ndarray.tofile`, an OSError keeps its errno, for example if the disk is full."""
    file.write(array.reshape(-1).view("u1").data)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with "\\n" line ends, all or nothing."""
    with new_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON in UTF-8, all or nothing."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_lines(path: Path, lines: list[str]) -> None:
    """Writes lines, each with "\\n", all or nothing."""
    write_text(path, "".join(line + "\n" for line in lines))


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a UTF-8 file, split at "\\n" only; a byte order mark and "\\r" before "\\n" are removed.

    A compressed file is decompressed. Raises DataError naming the file, and the line that is not UTF-8.
    """
    with open_text(path) as file:
        text = decode(file.read(), path)
    return text.removesuffix("\n").split("\n") if text else []


def stream_lines(path: Path) -> Iterator[str]:
    """Yields the lines that `read_lines` returns, in bounded memory."""
    with open_text(path) as file:
        yield from decode_lines(file, path)


def stream_text(path: Path) -> Iterator[str]:
    """Yields the text of a UTF-8 file in blocks, without its byte order mark. Raises DataError with the line number."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    lines = 0
    with open_text(path) as file:
        while True:
            data = file.read(_PART)
            try:
                yield decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                number = lines + error.object.count(b"\n", 0, error.start) + 1
                line = error.object[error.object.rfind(b"\n", 0, error.start) + 1 :].split(b"\n")[0]
                raise DataError(f"{path}:{number}: not UTF-8 text{encoding_hint(line)}") from None
            if not data:
                return
            lines += data.count(b"\n")


@contextmanager
def open_text(path: Path) -> Iterator[BufferedReader]:
    """Opens a text file for reading bytes, and decompresses it if necessary.

    Raises DataError if the file does not exist, cannot be read, or is a binary file of a known type.
    """
    try:
        with path.open("rb") as file, decompressed(file, path) as text:
            yield text
    except OSError as error:
        raise unreadable(path, error) from None


def decode_lines(raw: Iterable[bytes], where: Path | str) -> Iterator[str]:
    """Decodes lines of UTF-8 one at a time, as `read_lines` does. `where` begins error messages."""
    for number, data in enumerate(raw, start=1):
        data = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
        if not data:
            return  # only a byte order mark
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{where}:{number}: not UTF-8 text{encoding_hint(data)}") from None
        yield line.removesuffix("\r\n") if line.endswith("\r\n") else line.removesuffix("\n")


def read_bytes(path: Path) -> bytes:
    """Returns the bytes of a file. Raises DataError if it does not exist or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> DataError:
    """Returns the error for a file that cannot be read, with similar file names if it does not exist."""
    if isinstance(error, FileNotFoundError):
        near = similar_paths(path)
        hint = f"did you mean {' or '.join(near)}?" if near else f"check the path (it is relative to {Path.cwd()})"
        return DataError(f"{path}: there is no such file; {hint}")
    return DataError(f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions")


def decode(data: bytes, path: Path) -> str:
    """Decodes UTF-8 without a byte order mark and with "\\n" line ends. Raises DataError with the line number."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 text{encoding_hint(data)}") from None
    return text.replace("\r\n", "\n")


def encoding_hint(data: bytes) -> str:
    """Returns the message part for bytes that are not UTF-8: the likely encoding, and how to convert it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "; it looks like UTF-16: convert it with `iconv -f utf-16 -t utf-8`"
    try:
        korean = data.decode("cp949")
    except UnicodeDecodeError:
        return "; convert it to UTF-8"
    if any("\uac00" <= c <= "\ud7a3" for c in korean):
        return "; it looks like cp949 (EUC-KR): convert it with `iconv -f cp949 -t utf-8`"
    return "; convert it to UTF-8"


def sha256(path: Path) -> str:
    """Returns the SHA-256 hash of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_key(value: Any) -> str:
    """Returns a hash of a JSON-like value as twelve hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
