"""The preparation stages corpus, tokenizer, dataset and shortlist.

Each result is reused while its inputs and settings match.
"""

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from kotrans.config.schema import Config
from kotrans.data.build_dataset import prepare_dataset
from kotrans.data.build_shortlist import load_shortlist, prepare_shortlist, shortlist_key
from kotrans.data.corpora import Library
from kotrans.data.dataset import DatasetManifest, dataset_key
from kotrans.data.prepare_corpus import CorpusManifest, PreparedCorpus, prepare_corpus, resolve_corpora
from kotrans.data.shortlist import Shortlist
from kotrans.data.tokenizer import Tokenizer, TokenizerManifest, tokenizer_key, train_tokenizer
from kotrans.errors import ConfigError, DataError
from kotrans.storage.files import content_key, read_bytes, stream_lines, write_json, write_problem
from kotrans.storage.paths import prepared_folder
from kotrans.storage.scratch import remove_abandoned
from kotrans.text.word_counts import DEFINITION, word_counts


@dataclass(frozen=True)
class Stage:
    """A completed stage."""

    name: Literal["corpus", "tokenizer", "dataset", "shortlist"]
    folder: Path
    made: bool
    """False if it was up to date."""
    summary: str


class Reporter(Protocol):
    """Receives the progress of the stages."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Called with the amount done; total is None if unknown."""
        ...

    def stage(self, stage: Stage) -> None:
        """Called when a stage is complete or up to date."""
        ...


class SilentReporter:
    """A reporter that does nothing."""

    def progress(self, what: str, done: int, total: int | None) -> None: ...

    def stage(self, stage: Stage) -> None: ...


@dataclass(frozen=True)
class PreparedData:
    """The inputs of training."""

    corpus: PreparedCorpus
    dataset: Path
    tokenizer: Tokenizer
    manifest: DatasetManifest
    """Of the dataset."""
    shortlist: Shortlist | None = None
    """For `search.shortlist`; stored with the model. None if it was not made."""


def clean(config: Config, reporter: Reporter, library: Library | None = None) -> PreparedCorpus:
    """Returns the prepared corpus of a config; fetches, cleans and splits the corpora if necessary."""
    remove_abandoned(prepared_folder())
    resolved = resolve_corpora(config, replace(library or Library(), progress=reporter.progress))
    folder = prepared_folder() / f"corpus-{resolved.key}"
    made = _make(folder, lambda: prepare_corpus(resolved, folder, reporter.progress))
    corpus = PreparedCorpus.read(folder)
    manifest = corpus.manifest
    splits = ", ".join(f"{name} {pairs:,}" for name, pairs in manifest.splits.items())
    malformed = sum(sum(report.malformed.values()) for report in manifest.corpora)
    summary = f"{splits} pairs; {sum(manifest.dropped.values()):,} dropped"
    summary += f"; {malformed:,} malformed records skipped, see `kotrans clean`" if malformed else ""
    reporter.stage(Stage("corpus", folder, made, summary))
    return corpus


def tokenize(
    config: Config, reporter: Reporter, library: Library | None = None
) -> tuple[PreparedCorpus, Path, Tokenizer]:
    """Returns the prepared corpus, and the tokenizer trained on it with its folder."""
    corpus = clean(config, reporter, library)
    texts = corpus.folder / "train.ko", corpus.folder / "train.en"
    folder = prepared_folder() / f"tokenizer-{tokenizer_key(config.tokenizer, corpus.manifest.text, config.seed)}"
    made = _make(folder, lambda: train_tokenizer(config.tokenizer, *texts, folder, config.seed))
    reporter.stage(Stage("tokenizer", folder, made, TokenizerManifest.read(folder).summary))
    return corpus, folder, Tokenizer.load(folder)


def prepare(
    config: Config, reporter: Reporter, library: Library | None = None, tokenizer: Tokenizer | None = None
) -> PreparedData:
    """Runs all stages that are not up to date, and returns the inputs of training.

    tokenizer: the one to use instead of training one. Raises ConfigError if a source is longer than `attention.score:
    location` allows.
    """
    if tokenizer is None:
        corpus, _, tokenizer = tokenize(config, reporter, library)
    else:
        corpus = clean(config, reporter, library)
    folder = prepared_folder() / f"dataset-{dataset_key(corpus.manifest.key, tokenizer.fingerprint, config.batches)}"
    made = _make(
        folder,
        lambda: prepare_dataset(
            corpus,
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
    return PreparedData(corpus, folder, tokenizer, manifest, _shortlist(folder, manifest, tokenizer, reporter))


def _shortlist(dataset: Path, manifest: DatasetManifest, tokenizer: Tokenizer, reporter: Reporter) -> Shortlist:
    folder = prepared_folder() / f"shortlist-{shortlist_key(manifest.key)}"

    def progress(done: int, total: int) -> None:
        reporter.progress("shortlist", done, total)

    made = _make(folder, lambda: prepare_shortlist(dataset, tokenizer, folder, progress))
    shortlist, description = load_shortlist(folder)
    reporter.stage(Stage("shortlist", folder, made, description.summary))
    return shortlist


def find_prepared(config: Config) -> PreparedData | None:
    """Returns the inputs of training if every stage is up to date, otherwise None; fetches and creates nothing."""
    library = Library()
    absent = {listing.entry.name for listing in library.listings() if not listing.present}
    if any(not corpus.splits and corpus.name in absent for corpus in config.corpora):
        return None
    try:
        folder = prepared_folder() / f"corpus-{resolve_corpora(config, library).key}"
    except DataError:  # a file of your own is missing
        return None
    if not folder.exists():
        return None
    corpus = PreparedCorpus.read(folder)
    models = prepared_folder() / f"tokenizer-{tokenizer_key(config.tokenizer, corpus.manifest.text, config.seed)}"
    if not models.exists():
        return None
    tokenizer = Tokenizer.load(models)
    dataset = prepared_folder() / f"dataset-{dataset_key(corpus.manifest.key, tokenizer.fingerprint, config.batches)}"
    if not dataset.exists():
        return None
    manifest = DatasetManifest.read(dataset)
    _check_location(config, manifest)
    return PreparedData(corpus, dataset, tokenizer, manifest)


def training_word_counts(corpus: Path) -> Mapping[str, int]:
    """Returns the frequency of each word in the English training text of a prepared corpus; cached by its hash."""
    digest = CorpusManifest.read(corpus).text["target"]
    path = prepared_folder() / f"words-{content_key([DEFINITION, digest])}.json"
    _make(path, lambda: write_json(path, word_counts(stream_lines(corpus / "train.en"))))
    try:
        return {str(word): int(count) for word, count in json.loads(read_bytes(path)).items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise DataError(f"{path}: is damaged; delete it and run the command again") from None


def _make(folder: Path, make: Callable[[], object]) -> bool:
    """Calls `make` if the folder is missing; returns false if it exists, or another process created it meanwhile.

    Raises DataError if the disk is full.
    """
    if folder.exists():
        return False
    try:
        make()
    except FileExistsError:
        if not folder.exists():  # the error concerns another file
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
                f"batches.max_pieces ({config.batches.max_pieces}) if the source is in train"
            )
