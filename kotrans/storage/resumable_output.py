"""A long line-by-line output that can be resumed after an interruption.

| next to FILE | content |
| --- | --- |
| FILE.partial | the lines so far; renamed to FILE when complete |
| FILE.partial.jsonl | the settings that produced the lines, then a hash of each input line |
| .FILE.partial.lock | locked by the process that writes them |
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from kotrans.errors import UsageError
from kotrans.storage.files import sync

Made = Mapping[str, Any]
"""The settings that determine the output: JSON values by the name that is used in messages."""


class ResumableOutput:
    """An output file with one line per input line, which another process can resume."""

    def __init__(self, path: Path) -> None:
        """path: the final file. A symbolic link stays one; a device or pipe is written directly."""
        self.path = Path(os.path.realpath(path))
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        self._record = self.partial.with_name(f"{self.partial.name}.jsonl")
        self._is_device = self.path.exists() and not self.path.is_file()
        self._lock = FileLock(self.partial.with_name(f".{self.partial.name}.lock"))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Prevents other processes from writing the same file. Raises UsageError if one is writing it."""
        if self._is_device:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise UsageError(f"{self.path}: another process is writing it; wait until it has ended") from None
        try:
            yield
        finally:
            with suppress(OSError):  # Windows cannot delete an open file
                os.unlink(self._lock.lock_file)
            self._lock.release()

    def check_unused(self) -> None:
        """Raises UsageError if an interrupted process has left lines, or another process is writing them."""
        if self.partial.exists() and not self._lock.is_locked:
            with self.claimed():
                pass
        if self.partial.exists():
            raise UsageError(
                f"{self.path}: {self.partial.name} was left by an interrupted translation; "
                "resume it with --continue, or delete it"
            )

    def resume(self, made: Made) -> list[str]:
        """Returns the hashes of the input lines that are done. An incomplete line or one without a hash is cut off.

        Raises UsageError if the lines were produced with other settings.
        """
        if self._is_device or not self.partial.exists():
            return []
        recorded, hashes = self._read_record()
        current = json.loads(json.dumps(made))  # as it is read back, for example with lists instead of tuples
        for name in [*recorded, *current]:
            if recorded.get(name) != current.get(name):
                raise UsageError(
                    f"--continue: {self.partial} was made with {name} {recorded.get(name)}, "
                    f"but now it is {current.get(name)}; "
                    "repeat the original command, or delete the file to start again"
                )
        hashes = hashes[: _count_lines(self.partial)]
        _truncate_lines(self.partial, len(hashes))
        _truncate_lines(self._record, len(hashes) + 1)
        return hashes

    def check_input(self, lines: Iterator[str], hashes: list[str]) -> Iterator[str]:
        """Yields the input lines that are done. Raises UsageError if they differ from the recorded ones."""
        number = 0
        for number, (line, expected) in enumerate(zip(islice(lines, len(hashes)), hashes, strict=False), start=1):
            if _hash(line) != expected:
                raise UsageError(
                    f"--continue: line {number} of the input is not the one that {self.partial} was made from; "
                    "use the same input, or delete the file to start again"
                )
            yield line
        if number < len(hashes):
            raise UsageError(
                f"--continue: the input ends after line {number}, but {self.partial} has {len(hashes)} lines; "
                "use the same input, or delete the file to start again"
            )

    def write(self, made: Made, results: Iterable[tuple[str, str]]) -> None:
        """Appends output lines, and renames the file when all are written.

        results: pairs of input and output line. On an error the lines so far are kept for `resume`.
        """
        if self._is_device:
            with _opened(self.path) as output:
                output.writelines(f"{line}\n" for _, line in results)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._append(made, results)
            sync(self.partial)
            os.replace(self.partial, self.path)
            sync(self.path.parent)
        finally:
            if self.partial.exists() and not self.partial.stat().st_size:
                self.partial.unlink()
            if not self.partial.exists():
                self._record.unlink(missing_ok=True)

    def _append(self, made: Made, results: Iterable[tuple[str, str]]) -> None:
        with _opened(self.partial) as output:
            if not self.partial.stat().st_size:
                self._record.write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
            with _opened(self._record) as record:
                for source, line in results:
                    record.write(f'"{_hash(source)}"\n')  # before the line, so that no line is without a hash
                    output.write(line + "\n")

    def _read_record(self) -> tuple[dict[str, Any], list[str]]:
        try:
            with self._record.open(encoding="utf-8") as file:
                made = json.loads(next(file))
                hashes = [json.loads(line) for line in file if line.endswith("\n")]
            if not isinstance(made, dict):
                raise ValueError
            return made, hashes
        except (OSError, StopIteration, ValueError, RecursionError):
            raise UsageError(
                f"--continue: {self._record} is missing or damaged, so it is unknown how {self.partial.name} was made; "
                f"delete {self.partial.name} to start again"
            ) from None


def _opened(path: Path) -> IO[str]:
    """Opens a file for appending. Lines are written immediately, so that none is lost if the process is killed."""
    return path.open("a", encoding="utf-8", newline="\n", buffering=1)


def _hash(line: str) -> str:
    return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _count_lines(path: Path) -> int:
    """Returns the number of complete lines."""
    with path.open("rb") as file:
        return sum(line.endswith(b"\n") for line in file)


def _truncate_lines(path: Path, count: int) -> None:
    """Truncates a file after `count` lines."""
    with path.open("rb+") as file:
        file.truncate(sum(len(line) for line in islice(file, count)))
