"""Which rows of a text are an earlier one again, found in bounded memory."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from kotrans.data.sorting import IN_MEMORY, Sorter

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
