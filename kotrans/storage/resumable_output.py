"""A long output that survives an interruption: the lines so far, what they were made with, and a lock.

| beside FILE | what |
| --- | --- |
| FILE.partial | the lines so far; becomes FILE when all are there |
| FILE.partial.jsonl | what makes them, then a digest of each input line |
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
from kotrans.storage.files import growing_file, partial_of

Made = Mapping[str, Any]
"""What the lines are made with: JSON values by the name that a message gives them."""


class ResumableOutput:
    """One line for each line of an input, in a file that another process can go on with."""

    def __init__(self, path: Path) -> None:
        """path: the file that is to be made. A link stays one."""
        self.path = Path(os.path.realpath(path))
        self.partial = partial_of(self.path)
        self._record = self.partial.with_name(f"{self.partial.name}.jsonl")
        self._is_device = self.path.exists() and not self.path.is_file()
        self._lock = FileLock(self.partial.with_name(f".{self.partial.name}.lock"))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keeps other processes from writing the same file. Raises UsageError if one is."""
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
            with suppress(OSError):  # Windows deletes no open file
                os.unlink(self._lock.lock_file)
            self._lock.release()

    def check_unused(self) -> None:
        """Raises UsageError if an interrupted process has left lines, or another one is writing them."""
        if self.partial.exists() and not self._lock.is_locked:
            with self.claimed():
                pass
        if self.partial.exists():
            raise UsageError(
                f"{self.path}: {self.partial.name} is there from an interrupted translation; "
                "go on after its lines with --continue, or delete it"
            )

    def resume(self, made: Made) -> list[str]:
        """The digests of the input lines whose output is there; cuts off half a line, and all that has no digest.

        Raises UsageError if the lines there were made with something else.
        """
        if self._is_device or not self.partial.exists():
            return []
        written, digests = self._read_record()
        for name, (before, now) in _differences(written, _plain(made)).items():
            raise UsageError(
                f"--continue: {self.partial} was made with {name} {before}, but now it is {now}; "
                "give the command as it was, or delete the file to begin again"
            )
        digests = digests[: _whole_lines(self.partial)]
        _keep_lines(self.partial, len(digests))
        _keep_lines(self._record, len(digests) + 1)
        return digests

    def check_input(self, lines: Iterator[str], digests: list[str]) -> Iterator[str]:
        """Passes on the first of the lines, those that have been worked on. Raises UsageError if they are others."""
        number = 0
        for number, (line, digest) in enumerate(zip(islice(lines, len(digests)), digests, strict=False), start=1):
            if _digest(line) != digest:
                raise UsageError(
                    f"--continue: line {number} of the input is not the one that {self.partial} was made from; "
                    "give the same input, or delete the file to begin again"
                )
            yield line
        if number < len(digests):
            raise UsageError(
                f"--continue: the input ends after line {number}, but {self.partial} has {len(digests)} lines; "
                "give the same input, or delete the file to begin again"
            )

    def write(self, made: Made, results: Iterable[tuple[str, str]]) -> None:
        """Appends the output line of each input line; the file takes its name when all are there.

        `results` are input and output lines.
        """
        try:
            with growing_file(self.path) as growing:
                if self._is_device:
                    with _opened(growing) as output:
                        output.writelines(f"{line}\n" for _, line in results)
                else:
                    self._append(growing, made, results)
        finally:
            if not self.partial.exists() and not self._is_device:
                self._record.unlink(missing_ok=True)

    def _append(self, growing: Path, made: Made, results: Iterable[tuple[str, str]]) -> None:
        if not growing.stat().st_size:
            self._record.write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
        with _opened(self._record) as record, _opened(growing) as output:
            for source, line in results:
                record.write(f'"{_digest(source)}"\n')  # first, so that no line is ever without
                output.write(line + "\n")

    def _read_record(self) -> tuple[dict[str, Any], list[str]]:
        try:
            with self._record.open(encoding="utf-8") as file:
                made = json.loads(next(file))
                digests = [json.loads(line) for line in file if line.endswith("\n")]
            if not isinstance(made, dict):
                raise ValueError
            return made, digests
        except (OSError, StopIteration, ValueError, RecursionError):
            raise UsageError(
                f"--continue: {self._record} is missing or damaged, which says what {self.partial.name} was made with; "
                f"delete {self.partial.name} to begin again"
            ) from None


def _opened(path: Path) -> IO[str]:
    """For appending. Each line is written at once, so that none is lost with the process."""
    return path.open("a", encoding="utf-8", newline="\n", buffering=1)


def _digest(line: str) -> str:
    return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _plain(made: Made) -> dict[str, Any]:
    """As it comes back from JSON."""
    return dict(json.loads(json.dumps(made)))


def _differences(before: Made, now: Made) -> dict[str, tuple[Any, Any]]:
    names = [*before, *(name for name in now if name not in before)]
    return {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}


def _whole_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(line.endswith(b"\n") for line in file)


def _keep_lines(path: Path, count: int) -> None:
    """Cuts a file after so many lines."""
    with path.open("rb+") as file:
        file.truncate(sum(len(line) for line in islice(file, count)))
