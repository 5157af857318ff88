"""Corpus, tokenizer and dataset: each made once for the same inputs and settings, and found again by their hash."""

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from kotrans.config.schema import Config
from kotrans.data.build_dataset import prepare_dataset
from kotrans.data.corpora import Library
from kotrans.data.dataset import DatasetManifest, dataset_key
from kotrans.data.prepare_corpus import CorpusManifest, corpus_key, prepare_corpus
from kotrans.data.tokenizer import Tokenizer, TokenizerManifest, tokenizer_key, train_tokenizer
from kotrans.errors import ConfigError, DataError
from kotrans.storage.files import content_key, read_bytes, stream_lines, write_json, write_problem
from kotrans.storage.hash_cache import HashCache
from kotrans.storage.paths import prepared_folder
from kotrans.storage.scratch import remove_abandoned
from kotrans.text.word_counts import DEFINITION, word_counts


@dataclass(frozen=True)
class Stage:
    """A stage that is done."""

    name: Literal["corpus", "tokenizer", "dataset"]
    folder: Path
    made: bool  # false if it was up to date
    summary: str


class Reporter(Protocol):
    """Whoever wants to know how the stages go on."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """So much of something is done; total is None while it is not known."""
        ...

    def stage(self, stage: Stage) -> None:
        """A stage is done, or was up to date."""
        ...


class SilentReporter:
    """A reporter that says nothing."""

    def progress(self, what: str, done: int, total: int | None) -> None: ...

    def stage(self, stage: Stage) -> None: ...


def input_hashes() -> HashCache:
    """Hashes of input files, remembered beside what was made of them."""
    return HashCache(prepared_folder() / ".digests.json")


def clean(config: Config, reporter: Reporter, library: Library | None = None) -> tuple[Stage, CorpusManifest]:
    """The config's corpora, fetched where missing, cleaned and split into a prepared corpus."""
    remove_abandoned(prepared_folder())
    library = replace(library or Library(), progress=reporter.progress)
    digests = input_hashes()
    folder = prepared_folder() / f"corpus-{corpus_key(config, library, digests)}"
    made = _make(folder, lambda: prepare_corpus(config, folder, library, digests, reporter.progress))
    manifest = CorpusManifest.read(folder)
    splits = ", ".join(f"{name} {pairs:,}" for name, pairs in manifest.splits.items())
    malformed = sum(sum(report.malformed.values()) for report in manifest.corpora)
    summary = f"{splits} pairs; {sum(manifest.dropped.values()):,} dropped"
    summary += f"; {malformed:,} malformed records left out, see `kotrans clean`" if malformed else ""
    stage = Stage("corpus", folder, made, summary)
    reporter.stage(stage)
    return stage, manifest


def tokenize(config: Config, reporter: Reporter, library: Library | None = None) -> tuple[Stage, Stage, Tokenizer]:
    """The corpus stage, and the tokenizer trained on its training text."""
    corpus, manifest = clean(config, reporter, library)
    texts = corpus.folder / "train.ko", corpus.folder / "train.en"
    folder = prepared_folder() / f"tokenizer-{tokenizer_key(config.tokenizer, manifest.text, config.seed)}"
    made = _make(folder, lambda: train_tokenizer(config.tokenizer, *texts, folder, config.seed))
    stage = Stage("tokenizer", folder, made, TokenizerManifest.read(folder).summary)
    reporter.stage(stage)
    return corpus, stage, Tokenizer.load(folder)


def training_words(corpus: Path) -> Mapping[str, int]:
    """How often each word occurs in the English training text of a prepared corpus; counted once for the same text."""
    digest = CorpusManifest.read(corpus).text["target"]
    path = prepared_folder() / f"words-{content_key([DEFINITION, digest])}.json"
    _make(path, lambda: write_json(path, word_counts(stream_lines(corpus / "train.en"))))
    try:
        return {str(word): int(count) for word, count in json.loads(read_bytes(path)).items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise DataError(f"{path}: is damaged; delete it, and it is made again") from None


@dataclass(frozen=True)
class PreparedData:
    """All that training reads."""

    corpus: Path
    dataset: Path
    tokenizer: Tokenizer
    manifest: DatasetManifest


def prepare(config: Config, reporter: Reporter, library: Library | None = None) -> PreparedData:
    """Every stage before training.

    Raises ConfigError if a source is longer than what `attention.score: location` is to be built for.
    """
    corpus, _, tokenizer = tokenize(config, reporter, library)
    corpus_manifest = CorpusManifest.read(corpus.folder)
    key = dataset_key(corpus_manifest.key, tokenizer.fingerprint, config.batches)
    folder = prepared_folder() / f"dataset-{key}"
    made = _make(
        folder,
        lambda: prepare_dataset(
            corpus.folder,
            tokenizer,
            config.batches,
            folder,
            lambda done, total: reporter.progress("encode", done, total),
            config.hardware.threads,
        ),
    )
    manifest = DatasetManifest.read(folder)
    _check_location(config, manifest)
    reporter.stage(Stage("dataset", folder, made, _summary(manifest)))
    return PreparedData(corpus.folder, folder, tokenizer, manifest)


def _make(folder: Path, make: Callable[[], object]) -> bool:
    """Makes the folder if it is missing; false if it is there, or another process was first: its content is the same.

    Raises DataError if the disk is full.
    """
    if folder.exists():
        return False
    try:
        make()
    except FileExistsError:
        if not folder.exists():  # it is about another file, inside `make`
            raise
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        what = write_problem(error)
        raise DataError(f"{folder}: {what}; free some space and run the same command again") from None
    return True


def _summary(manifest: DatasetManifest) -> str:
    train = manifest.splits["train"]
    return (
        f"{train.pairs:,} pairs, {train.source_pieces:,} source and {train.target_pieces:,} target pieces; "
        f"dropped {', '.join(f'{count:,} by {reason}' for reason, count in train.dropped.items() if count) or 'none'}"
    )


def _check_location(config: Config, manifest: DatasetManifest) -> None:
    limit = config.attention.max_source_length
    for name, split in manifest.splits.items():
        if config.attention.score == "location" and limit is not None and split.longest_source > limit:
            raise ConfigError(
                f"config {config.name}: the longest {name} source has {split.longest_source} pieces, but "
                f"attention.score `location` has attention.max_source_length {limit}; raise it, or lower "
                f"batches.max_pieces ({config.batches.max_pieces}) if the source is a training one"
            )
