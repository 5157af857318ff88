"""A config's corpora as one prepared folder: cleaned train, and every other split as it stands."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from kotrans.config.schema import Config
from kotrans.config.sections import Section
from kotrans.data.cleaning import NORMALISATIONS, REASONS, Cleaner, Counts
from kotrans.data.corpora import Corpus, Library, Texts
from kotrans.data.fetch import RECORD, Progress
from kotrans.data.holdout import TooFewPairs
from kotrans.data.subword_training import vocabulary_for
from kotrans.data.training_text import write_training_text
from kotrans.errors import DataError
from kotrans.storage.files import content_key, new_directory, read_bytes, read_lines, sha256, write_json, write_lines
from kotrans.storage.hash_cache import HashCache

_FORMAT_VERSION = 3  # of the prepared folder and of the rules that fill it
_MANIFEST = "manifest.json"
_SHOWN = 60  # characters of each side of an example


class CorpusReport(Section):
    """What became of one corpus's training pairs."""

    name: str
    weight: float
    read: int
    kept: int
    dropped: dict[str, int]
    normalised: dict[str, int]
    files: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Pairs read from each file of each split; of line-aligned files the Korean one is named."""
    malformed: dict[str, int] = Field(default_factory=dict)
    """Records of its files, those of every split, that could not be read, by reason."""
    unused: dict[str, int] = Field(default_factory=dict)
    """Records of its files that are no pair: units in other languages, messages without a translation."""
    examples: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The first of each reason: file, line and problem if it was malformed, Korean and English if it was dropped."""
    fetched: dict[str, Any] | None
    """Date, files and hashes of what was fetched, for a listed corpus."""


class CorpusManifest(Section):
    """What a prepared corpus is made of."""

    stage: Literal["corpus"] = "corpus"
    key: str
    """Changes with any byte of the inputs and with every setting that matters."""
    inputs: dict[str, str]
    """SHA-256 by path."""
    text: dict[str, str]
    """SHA-256 of the training text, `source` and `target`."""
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


def corpus_key(config: Config, library: Library | None = None, digests: HashCache | None = None) -> str:
    """Names what `prepare_corpus` would make now; fetches what is missing, and reads every input it has no hash of."""
    corpora = (library or Library()).corpora(config.corpora)
    return _key(config, corpora, _hashes(corpora, digests or HashCache()))


def prepare_corpus(
    config: Config,
    folder: Path,
    library: Library | None = None,
    digests: HashCache | None = None,
    progress: Progress = lambda what, done, total: None,
) -> CorpusManifest:
    """Makes `folder`, which must not be there, wholly or not at all, fetching what is missing.

    In it are train.ko and train.en (cleaned and normalised), train.origin.npy (which corpus, uint16), for every other
    split <split>.ko, <split>.en and <split>.origin (raw lines and the corpus's name), and manifest.json. Only the other
    splits are ever in memory as a whole.
    Raises ConfigError, FetchError or DataError.
    """
    corpora = (library or Library()).corpora(config.corpora)
    inputs = _hashes(corpora, digests or HashCache())
    processes = config.hardware.threads
    with new_directory(folder) as scratch, TemporaryDirectory(dir=scratch) as aside:
        texts = _texts(config, corpora, Path(aside))
        held_out = _held_out(corpora, texts)
        _check_splits(config, corpora, held_out)
        for name, split in held_out.items():
            _write_split(scratch, name, split)
        pairs = (pair for split in held_out.values() for pair in zip(split.source, split.target, strict=True))
        counts = write_training_text(
            scratch,
            [text.train for text in texts],
            Cleaner(config.cleaning, pairs),
            duplicates=config.cleaning.duplicates,
            processes=processes,
            progress=lambda read: progress("clean", read, None),
        )
        reports = tuple(map(_report, corpora, counts, texts))
        manifest = _manifest(_key(config, corpora, inputs), inputs, reports, held_out, scratch)
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


def _hashes(corpora: Sequence[Corpus], digests: HashCache) -> dict[str, str]:
    for path in (path for corpus in corpora for path in corpus.files):
        if not path.is_file():
            read_bytes(path)  # raises the error that says so
    return {str(path): digests.of(path) for corpus in corpora for path in corpus.files}


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
                split: [{side: inputs[str(path)] for side, path in each if path is not None} for each in files]
                for split, files in corpus.splits.items()
            },
        }
        for corpus in corpora
    ]
    return content_key([_FORMAT_VERSION, described, config.cleaning.model_dump()])


def _texts(config: Config, corpora: Sequence[Corpus], aside: Path) -> list[Texts]:
    """The text of each corpus. Raises DataError, which also names a vocabulary that is too large for so few pairs."""
    processes = config.hardware.threads
    try:
        return [corpus.texts(aside / str(number), config.cleaning, processes) for number, corpus in enumerate(corpora)]
    except TooFewPairs as error:
        size, fitting = config.tokenizer.vocabulary_size, vocabulary_for(error.pairs)
        also = f"; and set tokenizer.vocabulary_size ({size}) to about {fitting}" if size > 2 * fitting else ""
        raise DataError(f"{error}{also}") from None


def _held_out(corpora: Sequence[Corpus], texts: Sequence[Texts]) -> dict[str, Split]:
    """All splits but train, concatenated by name over the corpora."""
    splits: dict[str, Split] = {}
    for corpus, text in zip(corpora, texts, strict=True):
        for name, pairs in text.held_out.items():
            split = splits.setdefault(name, Split([], [], []))
            split.source.extend(pairs.source)
            split.target.extend(pairs.target)
            split.origin.extend([corpus.name] * len(pairs.source))
    return splits


def _check_splits(config: Config, corpora: Sequence[Corpus], held_out: dict[str, Split]) -> None:
    if not any("train" in corpus.splits for corpus in corpora):
        raise DataError(f"config {config.name}: no corpus has a `train` split; name one that has, or files of your own")
    if "dev" not in held_out:
        raise DataError(
            f"config {config.name}: no corpus has a `dev` split; name its files, or take some pairs out of train with "
            "`holdout: {dev: 500, test: 500}` in the corpus"
        )
    if empty := [name for name, split in held_out.items() if not split.source]:
        raise DataError(f"config {config.name}: no file of the {empty[0]} split has a pair; name other files")


def _write_split(folder: Path, name: str, split: Split) -> None:
    for part, lines in zip(("ko", "en", "origin"), split, strict=True):
        write_lines(folder / f"{name}.{part}", lines)


def _manifest(
    key: str,
    inputs: dict[str, str],
    reports: tuple[CorpusReport, ...],
    held_out: dict[str, Split],
    folder: Path,
) -> CorpusManifest:
    return CorpusManifest(
        key=key,
        inputs=inputs,
        text={side: sha256(folder / f"train.{language}") for side, language in (("source", "ko"), ("target", "en"))},
        corpora=reports,
        splits={"train": sum(report.kept for report in reports)}
        | {name: len(split.source) for name, split in held_out.items()},
        dropped=_by_reason(REASONS, sum((Counter(report.dropped) for report in reports), Counter())),
        normalised=_by_reason(NORMALISATIONS, sum((Counter(report.normalised) for report in reports), Counter())),
    )


def _report(corpus: Corpus, counts: Counts, texts: Texts) -> CorpusReport:
    skipped = texts.skipped
    record = corpus.folder / RECORD if corpus.folder else None
    return CorpusReport(
        name=corpus.name,
        weight=corpus.weight,
        read=counts.read,
        kept=counts.kept,
        dropped=_by_reason(REASONS, counts.dropped),
        normalised=_by_reason(NORMALISATIONS, counts.normalised),
        files=texts.files,
        malformed=dict(skipped.malformed),
        unused=dict(skipped.unused),
        examples={reason: tuple(examples) for reason, examples in skipped.examples.items()}
        | {
            reason: tuple(f"{_cut(korean)} → {_cut(english)}" for korean, english in counts.examples[reason])
            for reason in REASONS
            if reason in counts.examples
        },
        fetched=json.loads(record.read_bytes()) if record and record.is_file() else None,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _by_reason(reasons: Sequence[str], counts: Counter[str]) -> dict[str, int]:
    """Every reason in its order, those that never applied included."""
    return {reason: counts[reason] for reason in reasons}


def _told(manifest: CorpusManifest) -> str:
    read = sum(report.read for report in manifest.corpora)
    reasons = ", ".join(f"{count:,} by {reason}" for reason, count in manifest.dropped.items() if count)
    return f"{read:,} read, dropped {reasons}"
