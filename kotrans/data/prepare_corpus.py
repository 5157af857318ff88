"""Prepares the corpora of a config: a folder with the cleaned training text and the unchanged held-out splits."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, ValidationError

from kotrans.config.schema import Config
from kotrans.config.sections import CleaningConfig, Section
from kotrans.data.cleaning import NORMALISATIONS, REASONS, Cleaner, Counts
from kotrans.data.corpora import Corpus, CorpusText, Library
from kotrans.data.fetch import RECORD, Progress
from kotrans.data.holdout import TooFewPairs, document_names
from kotrans.data.subword_training import vocabulary_for
from kotrans.data.training_text import write_training_text
from kotrans.errors import DataError
from kotrans.storage.files import content_key, new_directory, read_bytes, read_lines, sha256, write_json, write_lines

_FORMAT_VERSION = 3  # of the prepared folder and of the cleaning rules
_NEWER_RULES = ("max_held_out_overlap", "numbers", "max_target_occurrences")
_MANIFEST = "manifest.json"
_MAX_SHOWN = 60  # characters of each side of an example


class CorpusReport(Section):
    """Counts of one corpus."""

    name: str
    weight: float
    read: int
    kept: int
    dropped: dict[str, int]
    normalised: dict[str, int]
    files: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Pairs read from each file, by split; line-aligned files are listed under the Korean one."""
    malformed: dict[str, int] = Field(default_factory=dict)
    """Malformed records of the files of all splits, by reason."""
    unused: dict[str, int] = Field(default_factory=dict)
    """Valid records that are not pairs, by reason: units in other languages, messages without a translation."""
    paragraphs: dict[str, int] = Field(default_factory=dict)
    """Pairs of several sentences in all splits: `split`, or `whole` because the sides have different numbers."""
    examples: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The first records of each reason: file, line and problem if malformed, Korean and English if dropped."""
    fetched: dict[str, Any] | None
    """Date, files and hashes of the fetched files of a listed corpus."""


class CorpusManifest(Section):
    """The inputs and counts of a prepared corpus."""

    stage: Literal["corpus"] = "corpus"
    key: str
    """Depends on every byte of the inputs and every setting that affects the result."""
    inputs: dict[str, str]
    """SHA-256 by path."""
    text: dict[str, str]
    """SHA-256 of the training text, `source` and `target`."""
    corpora: tuple[CorpusReport, ...]
    """In the order of the indices in `train.origin.npy`."""
    splits: dict[str, int]
    """Pairs in each split, train after cleaning."""
    dropped: dict[str, int]
    """Training pairs by the rule of `cleaning` that dropped them."""
    normalised: dict[str, int]
    """Training lines by what normalization changed in them."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the manifest of a prepared corpus. Raises DataError if it is missing or damaged."""
        try:
            return cls.model_validate_json(read_bytes(folder / _MANIFEST))
        except ValidationError:
            raise DataError(f"{folder / _MANIFEST}: is damaged; delete {folder} and prepare it again") from None


class Split(NamedTuple):
    """A held-out split: raw lines, and the name of the corpus of each."""

    source: list[str]
    target: list[str]
    origin: list[str]


@dataclass(frozen=True)
class PreparedCorpus:
    """A prepared folder and its manifest."""

    folder: Path
    manifest: CorpusManifest

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the manifest of a prepared folder. Raises DataError if it is missing or damaged."""
        return cls(folder, CorpusManifest.read(folder))

    @property
    def held_out_splits(self) -> list[str]:
        """The names of all splits but train."""
        return [split for split in self.manifest.splits if split != "train"]

    def split(self, name: str) -> Split:
        """Reads a held-out split. Raises DataError if there is no such split."""
        if name not in self.held_out_splits:
            raise DataError(f"{self.folder}: there is no split {name!r}, only {', '.join(self.held_out_splits)}")
        return Split(*(read_lines(self.folder / f"{name}.{part}") for part in ("ko", "en", "origin")))


@dataclass(frozen=True)
class ResolvedCorpora:
    """The corpora of a config with their files located and hashed."""

    config: Config
    corpora: Sequence[Corpus]
    hashes: dict[str, str]
    """SHA-256 by path."""

    @property
    def key(self) -> str:
        """The key of the prepared corpus; independent of the location of the files."""
        described = [
            {
                "name": corpus.name,
                "weight": corpus.weight,
                "format": corpus.format,
                "fields": corpus.fields.model_dump(),
                "holdout": dict(corpus.holdout),
                **({"documents": document_names(corpus.train_files)} if corpus.holdout_by == "file" else {}),
                **({"cleaning": own} if (own := wanted.cleaning.model_dump(exclude_none=True)) else {}),
                **({"markup": corpus.markup} if corpus.markup != "none" else {}),
                **({"split_sentences": True} if corpus.split_sentences else {}),
                "splits": {
                    split: [{side: self.hashes[str(path)] for side, path in each if path is not None} for each in files]
                    for split, files in corpus.splits.items()
                },
            }
            for corpus, wanted in zip(self.corpora, self.config.corpora, strict=True)
        ]
        cleaning = self.config.cleaning.model_dump()
        for rule in _NEWER_RULES:
            if cleaning[rule] == CleaningConfig.model_fields[rule].default:
                del cleaning[rule]  # so that older prepared corpora are found
        return content_key([_FORMAT_VERSION, described, cleaning])


def resolve_corpora(config: Config, library: Library | None = None) -> ResolvedCorpora:
    """Fetches missing corpora, and hashes every input file. Raises ConfigError, FetchError or DataError."""
    corpora = (library or Library()).corpora(config.corpora)
    files = [path for corpus in corpora for path in corpus.files]
    for path in files:
        if not path.is_file():
            read_bytes(path)  # raises the error for a missing file
    return ResolvedCorpora(config, corpora, {str(path): sha256(path) for path in files})


def prepare_corpus(
    resolved: ResolvedCorpora, folder: Path, progress: Progress = lambda what, done, total: None
) -> CorpusManifest:
    """Creates `folder`, which must not exist, atomically.

    It contains train.ko and train.en (cleaned and normalized), train.origin.npy (corpus index, uint16), for every other
    split <split>.ko, <split>.en and <split>.origin (raw lines and corpus names), and manifest.json. Only the other
    splits are held in memory as a whole.
    Raises DataError.
    """
    config, corpora = resolved.config, resolved.corpora
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
            Cleaner(config.cleaning, pairs, list(map(config.cleaning_of, config.corpora))),
            duplicates=config.cleaning.duplicates,
            max_target_occurrences=config.cleaning.max_target_occurrences,
            processes=processes,
            progress=lambda read: progress("clean", read, None),
        )
        reports = tuple(map(_report, corpora, counts, texts))
        manifest = _manifest(resolved, reports, held_out, scratch)
        if not manifest.splits["train"]:
            raise DataError(
                f"config {config.name}: cleaning keeps no training pair ({_summary(manifest)}); see `cleaning`"
            )
        write_json(scratch / _MANIFEST, manifest.model_dump())
    return manifest


def _texts(config: Config, corpora: Sequence[Corpus], aside: Path) -> list[CorpusText]:
    """Returns the text of each corpus. Raises DataError if there are too few pairs, with a fitting vocabulary size."""
    processes = config.hardware.threads
    try:
        return [
            corpus.text(aside / str(number), config.cleaning_of(wanted), processes)
            for number, (corpus, wanted) in enumerate(zip(corpora, config.corpora, strict=True))
        ]
    except TooFewPairs as error:
        size, fitting = config.tokenizer.vocabulary_size, vocabulary_for(error.pairs)
        also = f"; and set tokenizer.vocabulary_size ({size}) to about {fitting}" if size > 2 * fitting else ""
        raise DataError(f"{error}{also}") from None


def _held_out(corpora: Sequence[Corpus], texts: Sequence[CorpusText]) -> dict[str, Split]:
    """Returns all splits but train, concatenated over the corpora."""
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
        raise DataError(f"config {config.name}: no corpus has a `train` split; add one that has, or files of your own")
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
    resolved: ResolvedCorpora, reports: tuple[CorpusReport, ...], held_out: dict[str, Split], folder: Path
) -> CorpusManifest:
    return CorpusManifest(
        key=resolved.key,
        inputs=resolved.hashes,
        text={side: sha256(folder / f"train.{language}") for side, language in (("source", "ko"), ("target", "en"))},
        corpora=reports,
        splits={"train": sum(report.kept for report in reports)}
        | {name: len(split.source) for name, split in held_out.items()},
        dropped=_by_reason(REASONS, sum((Counter(report.dropped) for report in reports), Counter())),
        normalised=_by_reason(NORMALISATIONS, sum((Counter(report.normalised) for report in reports), Counter())),
    )


def _report(corpus: Corpus, counts: Counts, text: CorpusText) -> CorpusReport:
    skipped = text.skipped
    record = corpus.folder / RECORD if corpus.folder else None
    return CorpusReport(
        name=corpus.name,
        weight=corpus.weight,
        read=counts.read,
        kept=counts.kept,
        dropped=_by_reason(REASONS, counts.dropped),
        normalised=_by_reason(NORMALISATIONS, counts.normalised),
        files=text.files,
        malformed=dict(skipped.malformed),
        unused=dict(skipped.unused),
        paragraphs=dict(text.paragraphs),
        examples={reason: tuple(examples) for reason, examples in skipped.examples.items()}
        | {
            reason: tuple(f"{_cut(korean)} → {_cut(english)}" for korean, english in counts.examples[reason])
            for reason in REASONS
            if reason in counts.examples
        },
        fetched=json.loads(record.read_bytes()) if record and record.is_file() else None,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _by_reason(reasons: Sequence[str], counts: Counter[str]) -> dict[str, int]:
    """Returns the count of every reason, including 0."""
    return {reason: counts[reason] for reason in reasons}


def _summary(manifest: CorpusManifest) -> str:
    read = sum(report.read for report in manifest.corpora)
    reasons = ", ".join(f"{count:,} by {reason}" for reason, count in manifest.dropped.items() if count)
    return f"{read:,} read, dropped {reasons}"
