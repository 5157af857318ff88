"""Makes the shortlist of a dataset from the translation probabilities of its training pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from kotrans.config.sections import Section
from kotrans.data.dataset import Dataset, DatasetManifest, damaged
from kotrans.data.shortlist import FILE, LARGEST, Shortlist
from kotrans.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer, Vocabulary
from kotrans.data.translation_table import Sequences, train_table
from kotrans.storage.files import content_key, new_directory, read_bytes, sha256, write_json

_FORMAT = 1  # part of the key; increase it when the computation of a shortlist changes
_MAX_PAIRS = 500_000
_MAX_PRODUCTS = 200_000_000  # sum of source length × target length; takes half a minute and 0.7 GB of memory
_MEASURED_SIZES = (25, 50, 100)


class Coverage(Section):
    """Shortlists of one size, measured on the dev split."""

    size: int
    mean_pieces: float
    """Mean number of pieces in the shortlist of a source."""
    recall: float
    """Share of the target pieces that are in the shortlist of their source."""
    complete: float
    """Share of the pairs whose target pieces are all in it."""


class ShortlistManifest(Section):
    """The inputs and measurements of a shortlist."""

    stage: Literal["shortlist"] = "shortlist"
    key: str
    dataset: str
    """Key of the dataset."""
    pairs: int
    """Training pairs used, all or a sample."""
    dev: tuple[Coverage, ...]
    sha256: str
    """Of the file."""

    @property
    def summary(self) -> str:
        """The measurements in one line."""
        sizes = (f"{each.size}: {each.mean_pieces:,.0f} pieces, {each.recall:.1%}" for each in self.dev)
        return f"{self.pairs:,} pairs; mean pieces per dev source, and share of its target's: {'; '.join(sizes)}"


def shortlist_key(dataset_key: str) -> str:
    """Returns the key of the shortlist made from this dataset."""
    return content_key([_FORMAT, dataset_key])


def prepare_shortlist(
    dataset: Path, tokenizer: Tokenizer, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> ShortlistManifest:
    """Makes the shortlist of a dataset in a new folder, with one thread.

    The same dataset gives the same bytes. Of a large dataset, a random sample of the pairs is used. `progress` is
    called with the work done and its total. Raises DataError if the dataset is damaged.
    """
    train, dev = Dataset.open(dataset, "train"), Dataset.open(dataset, "dev")
    pairs = _sample(train)
    shortlist = _shortlist(train, pairs, tokenizer, progress)
    with new_directory(folder) as scratch:
        shortlist.save(scratch / FILE)
        key = DatasetManifest.read(dataset).key
        manifest = ShortlistManifest(
            key=shortlist_key(key), dataset=key, pairs=len(pairs), sha256=sha256(scratch / FILE),
            dev=tuple(_coverage(shortlist, dev, size) for size in _MEASURED_SIZES),
        )  # fmt: skip
        write_json(scratch / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def load_shortlist(folder: Path) -> tuple[Shortlist, ShortlistManifest]:
    """Loads the shortlist of a folder. Raises DataError if a file is missing or damaged."""
    path = folder / "manifest.json"
    try:
        manifest = ShortlistManifest.model_validate_json(read_bytes(path))
        path = folder / FILE
        data = read_bytes(path)
        if sha256(path) != manifest.sha256:
            raise damaged(path)
        return Shortlist.parse(data), manifest
    except ValueError:
        raise damaged(path) from None


def _sample(train: Dataset) -> npt.NDArray[np.int64]:
    """Returns the indices of as many random pairs as the limits allow, in order."""
    order = np.random.default_rng(0).permutation(len(train))[:_MAX_PAIRS]
    products = (train.source_lengths[order] * train.target_lengths[order]).cumsum()
    return np.sort(order[: max(1, np.searchsorted(products, _MAX_PRODUCTS, side="right"))])


def _shortlist(
    train: Dataset, pairs: npt.NDArray[np.int64], tokenizer: Tokenizer, progress: Callable[[int, int], None]
) -> Shortlist:
    sources = Sequences(np.concatenate([train.source(i) for i in pairs]), train.source_lengths[pairs])
    targets = Sequences(np.concatenate([train.target(i) for i in pairs]), train.target_lengths[pairs])
    size = tokenizer.target.size
    table = train_table(sources, targets, tokenizer.source.size, size, progress=progress)
    counts = np.bincount(targets.ids, minlength=size)  # (V,)
    dtype = np.uint16 if size <= 2**16 else np.int32
    translations = np.full((tokenizer.source.size, LARGEST), PAD, dtype)
    for row, translation in zip(translations, table.rows, strict=True):
        ids = translation.ids[:LARGEST]
        row[: len(ids)] = ids
    return Shortlist(
        always=_always(tokenizer.target, counts).astype(dtype),
        frequent=np.argsort(-counts, kind="stable")[:LARGEST].astype(dtype),
        translations=translations,
    )


def _always(vocabulary: Vocabulary, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the special pieces, and those that spell names and numbers: ASCII characters, and bytes seen in training.

    counts: (V,), how often each piece occurs in training.
    """
    characters = [
        len(text := piece.removeprefix("▁")) <= 1 and text.isascii()
        for piece in vocabulary.pieces(range(vocabulary.size))
    ]
    chosen = np.array(characters) | (vocabulary.is_byte & (counts > 0))
    chosen[[PAD, BOS, EOS, UNK]] = True
    return np.flatnonzero(chosen)


def _coverage(shortlist: Shortlist, dev: Dataset, size: int) -> Coverage:
    pieces = found = complete = total = 0
    for i in range(len(dev)):
        chosen, target = shortlist.pieces(dev.source(i), size), dev.target(i)
        present = int(np.isin(target, chosen).sum())
        pieces, total, found = pieces + len(chosen), total + len(target), found + present
        complete += present == len(target)
    pairs = max(1, len(dev))
    return Coverage(size=size, mean_pieces=pieces / pairs, recall=found / max(1, total), complete=complete / pairs)
