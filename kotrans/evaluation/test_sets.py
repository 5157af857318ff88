"""What is scored: splits of a run's own corpora, listed corpora, and files."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from kotrans.data.corpora import Library
from kotrans.data.dataset import dataset_key
from kotrans.data.prepare_corpus import CorpusManifest, load_split
from kotrans.data.stages import Reporter, clean
from kotrans.errors import DataError
from kotrans.evaluation.metrics import check_lines
from kotrans.storage.files import read_lines
from kotrans.translation.model_loading import LoadedRuns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestSet:
    """Sentences and their reference translations."""

    name: str
    source: list[str] | None  # None if only hypotheses and references are there
    reference: list[str]
    origin: list[str] | None = None  # for each pair, what it is from
    corpus: Path | None = None  # the prepared corpus that it is a split of
    listed: bool = False  # whether it is one that `kotrans corpora` lists


def split_of_config(loaded: LoadedRuns, split: str, reporter: Reporter) -> TestSet:
    """A held-out split of the run's own corpora, prepared again if it is gone; `test+long` is both together.

    If the corpora are not what they were, which is logged, its pairs may be some that the run was trained on.
    """
    stage, _ = clean(loaded.config, reporter)
    if loaded.run is not None and not was_trained_on(loaded, stage.folder):
        logger.warning(
            "%s: its corpora, or this version, give other text than it was trained on; test pairs may be among that",
            loaded.run.folder,
        )  # fmt: skip
    texts = [load_split(stage.folder, name) for name in split.split("+")]
    source, reference, origin = ([line for text in texts for line in text[part]] for part in range(3))
    return TestSet(split, source, reference, origin, stage.folder)


def split_of_corpus(corpus: str, split: str, library: Library) -> TestSet:
    """A split of a listed corpus, fetched if it is missing."""
    text = library.read_split(corpus, split)
    return TestSet(f"{corpus}.{split}", text.source, text.target, listed=True)


def files_as_test_set(source: Path | None, reference: Path) -> TestSet:
    """Two line-aligned files, or references alone. Raises DataError if their line counts differ."""
    references = read_lines(reference)
    if source is None:
        return TestSet(f"file.{reference.stem}", None, references)
    sources = read_lines(source)
    check_lines(sources, references, (str(source), str(reference)), "line N of one must translate line N of the other")
    return TestSet(f"file.{source.stem}", sources, references)  # no split of a corpus has a dot in its name


def with_origins(test_set: TestSet, file: Path) -> TestSet:
    """The test set with what each pair is from, a line each. Raises DataError if there are not as many lines."""
    lines = read_lines(file)
    if len(lines) != len(test_set.reference):
        raise DataError(
            f"{file}: has {len(lines)} lines but {test_set.name} has {len(test_set.reference)} pairs; "
            "line N must say where pair N is from"
        )
    return replace(test_set, origin=lines)


def held_out_splits(loaded: LoadedRuns, reporter: Reporter) -> list[str]:
    """The splits of the run's corpora that training never looked at: all but train and dev, `test` first."""
    _, manifest = clean(loaded.config, reporter)
    names = [name for name in manifest.splits if name not in ("train", "dev")]
    return sorted(names, key=lambda name: (name != "test", name))


def was_trained_on(loaded: LoadedRuns, corpus: Path) -> bool:
    """Whether the run's dataset was made of this prepared corpus."""
    key = CorpusManifest.read(corpus).key
    dataset = dataset_key(key, loaded.translator.tokenizer.fingerprint, loaded.config.batches)
    return loaded.run is not None and loaded.run.record().dataset == dataset
