"""Which rows of a text are an earlier one again, found in bounded memory.

Records in the order of their keys, however many: spread over files by key, and each file sorted alone.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kotrans.storage.files import write_array

Records = npt.NDArray[np.void]

IN_MEMORY = 1_000_000
"""Records that are kept in memory before they go to the files."""
_FILES_BITS = 8  # 256 files: of a thousand million records each holds four million


class Sorter:
    """Sorts records by their fields, the first of which, `key`, is 64 evenly spread bits, such as of a hash."""

    def __init__(self, folder: Path, dtype: npt.DTypeLike, in_memory: int = IN_MEMORY) -> None:
        """Makes the folder when there is too much for memory; whoever gave it removes it."""
        self._folder = folder
        self._dtype = np.dtype(dtype)
        self._in_memory = in_memory
        self._waiting: list[Records] = []

    def add(self, *columns: npt.ArrayLike) -> None:
        """More records, given as their fields."""
        records = np.empty(len(np.asarray(columns[0])), self._dtype)
        for name, column in zip(self._dtype.names or (), columns, strict=True):
            records[name] = column
        self._waiting.append(records)
        if sum(map(len, self._waiting)) > self._in_memory:
            self._spill()

    def sorted(self) -> Iterator[Records]:
        """The records in ascending order, a part at a time; equal keys are in one part."""
        if not self._folder.is_dir():
            yield self._in_order(self._taken())
            return
        self._spill()
        for number in range(1 << _FILES_BITS):
            if (path := self._file(number)).exists():
                yield self._in_order(np.fromfile(path, self._dtype))

    def array(self) -> Records:
        """All records in ascending order, memory-mapped if they are many."""
        if not self._folder.is_dir():
            return self._in_order(self._taken())
        path = self._folder / "sorted"
        with path.open("wb") as file:
            for records in self.sorted():
                write_array(file, records)
        return np.asarray(np.memmap(path, self._dtype, "r"))

    def _taken(self) -> Records:
        return np.concatenate([np.empty(0, self._dtype), *self._waiting])

    def _spill(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        records, self._waiting = self._taken(), []
        numbers = (records["key"] >> np.uint64(64 - _FILES_BITS)).astype(np.int64)
        records = records[np.argsort(numbers, kind="stable")]
        ends = np.bincount(numbers, minlength=1 << _FILES_BITS).cumsum()
        for number, part in enumerate(np.split(records, ends[:-1])):
            if len(part):
                with self._file(number).open("ab") as file:
                    write_array(file, part)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:03d}"

    def _in_order(self, records: Records) -> Records:
        return records[np.lexsort([records[name] for name in reversed(self._dtype.names or ())])]


def keys_of(digests: Iterable[bytes], columns: int) -> npt.NDArray[np.uint64]:
    """(N, columns), 64 bits of the digests each, one row after the other; keys are in the order of their bytes."""
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, columns)


Flags = npt.NDArray[np.bool_]

# 128 bits of a hash: among a thousand million rows, the chance that two different ones share them is 1e-21.
_RECORD = [("key", "<u8"), ("rest", "<u8"), ("row", "<i8")]


class Duplicates:
    """Takes the rows' hashes as they come, and tells in the end which occurred before."""

    def __init__(self, folder: Path, in_memory: int = IN_MEMORY) -> None:
        """`folder` holds what is too much for memory."""
        self._sorter = Sorter(folder, _RECORD, in_memory)
        self._rows = 0

    def add(self, digests: npt.NDArray[np.uint64]) -> None:
        """Hashes (N, 2) of the next N rows."""
        rows = np.arange(self._rows, self._rows + len(digests))
        self._sorter.add(digests[:, 0], digests[:, 1], rows)
        self._rows += len(digests)

    def found(self) -> Flags:
        """(rows,), true where a row has the hash of an earlier one."""
        found = np.zeros(self._rows, bool)
        for records in self._sorter.sorted():
            same = (records["key"][1:] == records["key"][:-1]) & (records["rest"][1:] == records["rest"][:-1])
            found[records["row"][1:][same]] = True
        return found
