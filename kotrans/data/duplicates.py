"""Duplicate rows, found by their 128-bit hashes."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]


def keys_of(digests: Iterable[bytes], columns: int) -> Keys:
    """Returns digests of 8 bytes a column as 64-bit numbers (N, columns), which sort as their bytes do."""
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, columns)


def occurrences(keys: Keys) -> npt.NDArray[np.int64]:
    """Returns for each key (N,) how many earlier ones are equal to it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    places = np.arange(len(keys))
    first = np.flatnonzero(np.concatenate([np.ones(min(len(keys), 1), bool), ordered[1:] != ordered[:-1]]))
    counts = np.empty(len(keys), np.int64)
    counts[order] = places - np.repeat(first, np.diff(np.append(first, len(keys))))
    return counts


def repeated_rows(hashes: Keys) -> Flags:
    """Returns flags (N,) of hashes (N, 2): true where an earlier row has the same hash.

    Among 10^9 rows, the probability that two different texts share 128 bits is 10^-21.
    """
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))  # stable: equal rows keep their order
    same = np.ones(max(len(hashes) - 1, 0), bool)
    for column in hashes.T:
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(hashes), bool)
    repeated[order[1:][same]] = True
    return repeated
