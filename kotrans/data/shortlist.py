"""Shortlists: the target pieces that a translation of a given source may use, for a smaller softmax.

Jean et al. (2015, section 3.3) and L'Hostis et al. (2016) compare such lists.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from kotrans.errors import ConfigError
from kotrans.storage.manifest import VerifiedFiles, damaged

LARGEST = 100
"""Maximum size of `Shortlist.pieces`."""
FILE = "shortlist.safetensors"
"""Its name in a checkpoint or exported model."""

Ids = npt.NDArray[np.uint16 | np.int32]


class Shortlist:
    """The most probable translations of each source piece, and the pieces that every source gets."""

    def __init__(self, always: Ids, frequent: Ids, translations: Ids) -> None:
        """
        always: (A,), pieces of every list: special ones, characters and bytes, with which any word can be spelt.
        frequent: (`LARGEST`,), the most frequent target pieces, in this order; fewer if the vocabulary is smaller.
        translations: (source vocabulary, `LARGEST`), the most probable target pieces of each source piece, in this
            order, padded with PAD.
        """
        self.always = always
        self.frequent = frequent
        self.translations = translations
        self._width = 1 + max(int(ids.max(initial=0)) for ids in (always, frequent, translations))

    def pieces(self, source: Sequence[int] | npt.NDArray[np.integer], size: int) -> npt.NDArray[np.int64]:
        """Returns the sorted ids of the target pieces for a source, without duplicates: a pure function.

        They are those of every list, the `size` most frequent ones, and the `size` most probable translations of each
        source piece. size: 1 to `LARGEST`.
        """
        chosen = np.zeros(self._width, np.bool_)
        chosen[self.always] = True
        chosen[self.frequent[:size]] = True
        chosen[self.translations[np.asarray(source, np.int64), :size]] = True
        return np.flatnonzero(chosen)

    def save(self, path: Path) -> None:
        """Writes the shortlist as a safetensors file."""
        arrays = {"always": self.always, "frequent": self.frequent, "translations": self.translations}
        path.write_bytes(save(arrays))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Returns the shortlist of a file's bytes. Raises ValueError if they are no shortlist."""
        try:
            arrays = load(data)
            shortlist = cls(arrays.pop("always"), arrays.pop("frequent"), arrays.pop("translations"))
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"not a shortlist: {error}") from None
        shapes = shortlist.always.ndim, shortlist.frequent.ndim, shortlist.translations.ndim
        types = {ids.dtype for ids in (shortlist.always, shortlist.frequent, shortlist.translations)}
        if arrays or shapes != (1, 1, 2) or types not in ({np.dtype("uint16")}, {np.dtype("int32")}):
            raise ValueError("not a shortlist: other arrays")
        return shortlist


def read_shortlist(files: VerifiedFiles) -> Shortlist | None:
    """Reads the shortlist of a checkpoint or exported model; None if it has none, like those of older versions.

    Raises DamagedError if the file is missing or damaged, CheckpointError if it cannot be read.
    """
    if FILE not in files.files:
        return None
    try:
        return Shortlist.parse(files.read(FILE))
    except ValueError:
        raise damaged(files.path, FILE) from None


def require_shortlist(shortlist: Shortlist | None, size: int | None, model: Path | str) -> Shortlist | None:
    """Returns the shortlist of a model if `size`, the setting `search.shortlist`, is set, and otherwise None.

    Raises ConfigError if it is set and the model has none.
    """
    if size is None:
        return None
    if shortlist is None:
        raise ConfigError(
            f"{model}: search.shortlist is {size}, but this model has no shortlist, because an older version trained "
            "it; set search.shortlist to null, or train the model again"
        )
    return shortlist
