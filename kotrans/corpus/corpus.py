"""A config's corpora as one prepared folder: cleaned train, and every other split as it stands."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import ValidationError

from kotrans.config.config import Config
from kotrans.config.sections import Section
from kotrans.corpus.cleaning import NORMALISATIONS, REASONS, Cleaner, Counts
from kotrans.corpus.fetch import RECORD
from kotrans.corpus.formats.pairs import Pairs
from kotrans.corpus.library import Corpus, Library
from kotrans.errors import DataError
from kotrans.files import content_key, new_directory, read_bytes, read_lines, sha256, write_json, write_lines

_FORMAT_VERSION = 1  # of the prepared folder and of the rules that fill it
_MANIFEST = "manifest.json"


class CorpusReport(Section):
    """What became of one corpus's training pairs."""

    name: str
    weight: float
    read: int
    kept: int
    dropped: dict[str, int]
    normalised: dict[str, int]
    fetched: dict[str, Any] | None
    """Date, files and hashes of what was fetched, for a listed corpus."""


class CorpusManifest(Section):
    """What a prepared corpus is made of."""

    stage: Literal["corpus"] = "corpus"
    key: str
    """Changes with any byte of the inputs and with every setting that matters."""
    inputs: dict[str, str]
    """SHA-256 by path."""
    corpora: tuple[CorpusReport, ...]
    """In the order that `train.origin.npy` counts them."""
    splits: dict[str, int]
    """Pairs in each split, train cleaned."""
    dropped: dict[str, int]
    """Training pairs by the rule of `cleaning` that dropped them."""
    normalised: dict[str, int]
    """Training lines by what normalisation changed in them."""

    @classmethod
    def read(cls, folder: Path) -> "CorpusManifest":
        """The manifest of a prepared corpus. Raises DataError if it is missing or damaged."""
        try:
            return cls.model_validate_json(read_bytes(folder / _MANIFEST))
        except ValidationError:
            raise DataError(f"{folder / _MANIFEST}: is damaged; delete {folder} and prepare it again") from None


class Split(NamedTuple):
    """A held-out split: raw lines, and for each the name of the corpus it is from."""

    source: list[str]
    target: list[str]
    origin: list[str]


def corpus_key(config: Config, library: Library | None = None) -> str:
    """Names what `prepare_corpus` would make now; fetches what is missing, and reads every input."""
    corpora = (library or Library()).corpora(config.corpora)
    return _key(config, corpora, _hashes(corpora))


def prepare_corpus(config: Config, folder: Path, library: Library | None = None) -> CorpusManifest:
    """Makes `folder`, which must not be there, wholly or not at all, fetching what is missing.

    In it are train.ko and train.en (cleaned and normalised), train.origin.npy (which corpus, uint16), for every other
    split <split>.ko, <split>.en and <split>.origin (raw lines and the corpus's name), and manifest.json.
    Raises ConfigError, FetchError or DataError.
    """
    corpora = (library or Library()).corpora(config.corpora)
    inputs = _hashes(corpora)
    texts = [corpus.read() for corpus in corpora]
    held_out = _held_out(corpora, texts)
    _check_splits(config, texts, held_out)
    with new_directory(folder) as scratch:
        for name, split in held_out.items():
            _write_split(scratch, name, split)
        lines = (line for split in held_out.values() for line in (*split.source, *split.target))
        counts = _write_train(
            scratch, [text.get("train", Pairs([], [])) for text in texts], Cleaner(config.cleaning, lines)
        )
        manifest = _manifest(_key(config, corpora, inputs), inputs, corpora, counts, held_out)
        if not manifest.splits["train"]:
            raise DataError(
                f"config {config.name}: cleaning keeps no training pair ({_told(manifest)}); see `cleaning`"
            )
        write_json(scratch / _MANIFEST, manifest.model_dump())
    return manifest


def load_split(folder: Path, name: str) -> Split:
    """A held-out split of a prepared corpus. Raises DataError if there is none of that name."""
    known = [split for split in CorpusManifest.read(folder).splits if split != "train"]
    if name not in known:
        raise DataError(f"{folder}: there is no split {name!r}, but {', '.join(known)}")
    return Split(*(read_lines(folder / f"{name}.{part}") for part in ("ko", "en", "origin")))


def _hashes(corpora: Sequence[Corpus]) -> dict[str, str]:
    for path in (path for corpus in corpora for path in corpus.files):
        if not path.is_file():
            read_bytes(path)  # raises the error that says so
    return {str(path): sha256(path) for corpus in corpora for path in corpus.files}


def _key(config: Config, corpora: Sequence[Corpus], inputs: dict[str, str]) -> str:
    """Independent of where the files lie."""
    described = [
        {
            "name": corpus.name,
            "weight": corpus.weight,
            "format": corpus.format,
            "fields": corpus.fields.model_dump(),
            "holdout": dict(corpus.holdout),
            "splits": {
                split: {side: inputs[str(path)] for side, path in files if path is not None}
                for split, files in corpus.splits.items()
            },
        }
        for corpus in corpora
    ]
    return content_key([_FORMAT_VERSION, described, config.cleaning.model_dump()])


def _held_out(corpora: Sequence[Corpus], texts: Sequence[dict[str, Pairs]]) -> dict[str, Split]:
    """All splits but train, concatenated by name over the corpora."""
    splits: dict[str, Split] = {}
    for corpus, text in zip(corpora, texts, strict=True):
        for name, pairs in text.items():
            if name != "train":
                split = splits.setdefault(name, Split([], [], []))
                split.source.extend(pairs.source)
                split.target.extend(pairs.target)
                split.origin.extend([corpus.name] * len(pairs.source))
    return splits


def _check_splits(config: Config, texts: Sequence[dict[str, Pairs]], held_out: dict[str, Split]) -> None:
    if not any("train" in text for text in texts):
        raise DataError(f"config {config.name}: no corpus has a `train` split; name one that has, or files of your own")
    if "dev" not in held_out:
        raise DataError(
            f"config {config.name}: no corpus has a `dev` split; name its files, or take some pairs out of train with "
            "`holdout: {dev: 500, test: 500}` in the corpus"
        )


def _write_split(folder: Path, name: str, split: Split) -> None:
    for part, lines in zip(("ko", "en", "origin"), split, strict=True):
        write_lines(folder / f"{name}.{part}", lines)


def _write_train(folder: Path, trains: Sequence[Pairs], cleaner: Cleaner) -> list[Counts]:
    counts = [Counts() for _ in trains]
    with (
        (folder / "train.ko").open("w", encoding="utf-8", newline="\n") as source_file,
        (folder / "train.en").open("w", encoding="utf-8", newline="\n") as target_file,
    ):
        for source, target in _cleaned(trains, cleaner, counts):
            source_file.write(source + "\n")
            target_file.write(target + "\n")
    origin = np.repeat(np.arange(len(counts), dtype=np.uint16), [count.kept for count in counts])
    np.save(folder / "train.origin.npy", origin, allow_pickle=False)
    return counts


def _cleaned(trains: Sequence[Pairs], cleaner: Cleaner, counts: Sequence[Counts]) -> Iterator[tuple[str, str]]:
    for pairs, count in zip(trains, counts, strict=True):
        yield from cleaner.clean(zip(pairs.source, pairs.target, strict=True), count)


def _manifest(
    key: str,
    inputs: dict[str, str],
    corpora: Sequence[Corpus],
    counts: Sequence[Counts],
    held_out: dict[str, Split],
) -> CorpusManifest:
    reports = tuple(_report(corpus, count) for corpus, count in zip(corpora, counts, strict=True))
    kept = sum(count.kept for count in counts)
    return CorpusManifest(
        key=key,
        inputs=inputs,
        corpora=reports,
        splits={"train": kept} | {name: len(split.source) for name, split in held_out.items()},
        dropped=_by_reason(REASONS, sum((count.dropped for count in counts), Counter())),
        normalised=_by_reason(NORMALISATIONS, sum((count.normalised for count in counts), Counter())),
    )


def _report(corpus: Corpus, counts: Counts) -> CorpusReport:
    record = corpus.folder / RECORD if corpus.folder else None
    return CorpusReport(
        name=corpus.name,
        weight=corpus.weight,
        read=counts.read,
        kept=counts.kept,
        dropped=_by_reason(REASONS, counts.dropped),
        normalised=_by_reason(NORMALISATIONS, counts.normalised),
        fetched=json.loads(record.read_bytes()) if record and record.is_file() else None,
    )


def _by_reason(reasons: Sequence[str], counts: Counter[str]) -> dict[str, int]:
    """Every reason in its order, those that never applied included."""
    return {reason: counts[reason] for reason in reasons}


def _told(manifest: CorpusManifest) -> str:
    read = sum(report.read for report in manifest.corpora)
    reasons = ", ".join(f"{count:,} by {reason}" for reason, count in manifest.dropped.items() if count)
    return f"{read:,} read, dropped {reasons}"
