"""Test sets: splits of a run's own corpora, splits of listed corpora, and files."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from kotrans.data.corpora import Library
from kotrans.data.dataset import dataset_key
from kotrans.data.prepare_corpus import CorpusManifest, PreparedCorpus
from kotrans.data.stages import Reporter, clean
from kotrans.errors import DataError
from kotrans.evaluation.metrics import check_lines
from kotrans.storage.files import read_lines
from kotrans.translation.translator import Translator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestSet:
    """Sentences and their reference translations."""

    name: str
    source: list[str] | None
    """None if there are only hypotheses and references."""
    reference: list[str]
    origin: list[str] | None = None
    """Label of each pair to group scores by, such as its corpus."""
    corpus: Path | None = None
    """Folder of the prepared corpus that this is a split of."""
    listed: bool = False
    """Whether it is a split of a corpus that `kotrans corpora` lists."""


def split_of_config(translator: Translator, split: str, reporter: Reporter) -> TestSet:
    """Returns a held-out split of the run's corpora, which are prepared if necessary; `test+long` joins two splits.

    Logs a warning if the corpora differ from those the run was trained on: then training may have seen its pairs.
    """
    corpus = clean(translator.spec.config, reporter)
    if (run := translator.spec.run) is not None and not was_trained_on(translator, corpus.folder):
        logger.warning(
            "%s: the prepared corpus differs from the one this run was trained on, because the corpora or this version "
            "changed; test pairs may have been seen in training", run.folder,
        )  # fmt: skip
    return split_of_prepared(corpus, split)


def split_of_prepared(corpus: PreparedCorpus, split: str) -> TestSet:
    """Returns a held-out split of a prepared corpus; `test+long` joins two splits."""
    texts = [corpus.split(name) for name in split.split("+")]
    source, reference, origin = ([line for text in texts for line in text[part]] for part in range(3))
    return TestSet(split, source, reference, origin, corpus.folder)


def split_of_corpus(corpus: str, split: str, library: Library) -> TestSet:
    """Returns a split of a listed corpus, downloading it if needed."""
    text = library.read_split(corpus, split)
    return TestSet(f"{corpus}.{split}", text.source, text.target, listed=True)


def files_as_test_set(source: Path | None, reference: Path) -> TestSet:
    """Reads line-aligned files. Raises DataError if their numbers of lines differ."""
    references = read_lines(reference)
    if source is None:
        return TestSet(f"file.{reference.stem}", None, references)
    sources = read_lines(source)
    check_lines(sources, references, (str(source), str(reference)), "line N of one must translate line N of the other")
    return TestSet(f"file.{source.stem}", sources, references)  # no name of a split has a dot


def with_origins(test_set: TestSet, file: Path) -> TestSet:
    """Adds a label per pair, read from a file. Raises DataError if it has another number of lines."""
    lines = read_lines(file)
    if len(lines) != len(test_set.reference):
        raise DataError(
            f"{file}: has {len(lines)} lines but {test_set.name} has {len(test_set.reference)} pairs; "
            "line N must be the label of pair N"
        )
    return replace(test_set, origin=lines)


def scored_splits(corpus: PreparedCorpus) -> list[str]:
    """Returns the splits that training does not use: all but train and dev, `test` first."""
    return sorted(set(corpus.held_out_splits) - {"dev"}, key=lambda name: (name != "test", name))


def was_trained_on(translator: Translator, corpus: Path) -> bool:
    """Whether the run's dataset was made from this prepared corpus."""
    spec = translator.spec
    key = CorpusManifest.read(corpus).key
    dataset = dataset_key(key, translator.tokenizer.fingerprint, spec.config.batches)
    return spec.run is not None and spec.run.record().dataset == dataset
