"""All-or-nothing writes, hashes, and lines of text read without surprises."""

import codecs
import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kotrans.errors import CheckpointError, DataError
from kotrans.storage.compressed import unpacking
from kotrans.storage.paths import near_names
from kotrans.storage.scratch import held_scratch, release

if TYPE_CHECKING:
    import numpy.typing as npt

_PART = 2**20  # bytes of a text that is read in parts


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """Gives a scratch folder that becomes `final`, durably, only if the block succeeds.

    If the process is killed it stays, for `remove_abandoned`. Raises FileExistsError if `final` is there by then (an
    empty folder is replaced).
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch, held = held_scratch(final)
    try:
        yield scratch
        for path in scratch.rglob("*"):
            _sync(path)
        _sync(scratch)
        _rename(scratch, final)
        _sync(final.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    finally:
        release(held)


@contextmanager
def new_file(final: Path) -> Iterator[Path]:
    """Gives a scratch path beside `final` that replaces it, durably, only if the block succeeds.

    A link stays one: the file it leads to is replaced. A device or pipe, such as /dev/null, is written to as it is.
    """
    final = Path(os.path.realpath(final))
    if final.exists() and not final.is_file() and not final.is_dir():
        yield final
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch, held = held_scratch(final, file=True)
    try:
        yield scratch
        _sync(scratch)
        os.replace(scratch, final)
        _sync(final.parent)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    finally:
        release(held)


def partial_of(final: Path) -> Path:
    """Where the lines of `final` stand until all of them are there."""
    return final.with_name(f"{final.name}.partial")


@contextmanager
def growing_file(final: Path) -> Iterator[Path]:
    """Gives `partial_of(final)`, which replaces `final`, durably, if the block succeeds, and else stays unless empty.

    Links, devices and pipes are treated as by `new_file`.
    """
    final = Path(os.path.realpath(final))
    if final.exists() and not final.is_file():
        yield final
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(final)
    partial.touch()
    try:
        yield partial
        _sync(partial)
        os.replace(partial, final)
        _sync(final.parent)
    finally:
        if partial.exists() and not partial.stat().st_size:
            partial.unlink()


@contextmanager
def disk_errors(path: Path, consequence: str) -> Iterator[None]:
    """Inside the block, a disk that is full or cannot be written becomes a CheckpointError of one line."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: {write_problem(error)}; {consequence}") from None


def write_problem(error: OSError) -> str:
    """What to say of a file that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "the disk is full" if full else f"cannot be written ({error.strerror or error})"


def _rename(folder: Path, final: Path) -> None:
    if sys.platform == "win32" and final.is_dir():
        _remove_empty(final)  # Windows renames onto nothing that is there
    try:
        os.rename(folder, final)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise _exists(final) from None
        raise


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        raise _exists(folder) from None


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _sync(path: Path) -> None:
    """Waits until the disk has it. Windows needs a handle that may write, and has none for folders."""
    windows = sys.platform == "win32"
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_array(file: BinaryIO, array: "npt.NDArray[Any]") -> None:
    """Writes an array's bytes. Raises OSError with its errno if the disk is full, which `ndarray.tofile` does not."""
    file.write(array.reshape(-1).view("u1").data)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 with "\\n" line ends, all or nothing."""
    with new_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON (Korean stays Korean), all or nothing."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_lines(path: Path, lines: list[str]) -> None:
    """Writes one line each, all or nothing."""
    write_text(path, "".join(line + "\n" for line in lines))


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file (a byte order mark and "\\r" before "\\n" are dropped), split on "\\n" only.

    A compressed file is unpacked. Raises DataError naming the file, and the line where it stops being UTF-8.
    """
    with opened(path) as file:
        text = decode(file.read(), path)
    return text.removesuffix("\n").split("\n") if text else []


def stream_lines(path: Path) -> Iterator[str]:
    """The lines that `read_lines` gives, one at a time, for files that need not fit into memory."""
    with opened(path) as file:
        yield from decode_lines(file, path)


def stream_text(path: Path) -> Iterator[str]:
    """The text of a UTF-8 file without its byte order mark, in parts. Raises DataError with the line number."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    lines = 0
    with opened(path) as file:
        while True:
            data = file.read(_PART)
            try:
                yield decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line = lines + error.object.count(b"\n", 0, error.start) + 1
                odd = error.object[error.object.rfind(b"\n", 0, error.start) + 1 :].split(b"\n")[0]
                raise DataError(f"{path}:{line}: not UTF-8 text{encoding_hint(odd)}") from None
            if not data:
                return
            lines += data.count(b"\n")


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A text file, open for reading bytes, unpacked if it is compressed.

    Raises DataError if there is no such file, it cannot be read, or it is a binary file of a known kind.
    """
    try:
        with path.open("rb") as file, unpacking(file, path) as text:
            yield text
    except OSError as error:
        raise unreadable(path, error) from None


def decode_lines(raw: Iterable[bytes], where: Path | str) -> Iterator[str]:
    """The lines of a UTF-8 stream as they come, as `read_lines` would split it; `where` begins a message."""
    for number, data in enumerate(raw, start=1):
        data = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
        if not data:
            return  # nothing but a byte order mark
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{where}:{number}: not UTF-8 text{encoding_hint(data)}") from None
        yield line.removesuffix("\r\n") if line.endswith("\r\n") else line.removesuffix("\n")


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises DataError if there is no such file or it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> DataError:
    """What to say of a file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        near = near_names(path)
        hint = f"did you mean {' or '.join(near)}?" if near else f"check the path (it is relative to {Path.cwd()})"
        return DataError(f"{path}: there is no such file; {hint}")
    return DataError(f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions")


def decode(data: bytes, path: Path) -> str:
    """UTF-8 text without its byte order mark and with "\\n" line ends. Raises DataError with the line number."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 text{encoding_hint(data)}") from None
    return text.replace("\r\n", "\n")


def encoding_hint(data: bytes) -> str:
    """The end of a message about bytes that are not UTF-8: the encoding that they look like, and what to do."""
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
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_key(value: Any) -> str:
    """Twelve hexadecimal digits that name a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
