"""Scoring a run, or any file, against references."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kotrans import __version__
from kotrans.corpus.corpus import load_split
from kotrans.corpus.library import Library
from kotrans.errors import DataError
from kotrans.evaluate import Bucket, Scores, by_length, score
from kotrans.files import disk_errors, read_lines, write_json, write_lines
from kotrans.pipeline.stages import Reporter, clean
from kotrans.pipeline.translation import LoadedRuns
from kotrans.runs import now
from kotrans.text import normalize


@dataclass(frozen=True)
class TestSet:
    """Sentences and their reference translations."""

    name: str
    source: list[str]
    reference: list[str]


@dataclass(frozen=True)
class Evaluation:
    """What came out, and where it was written."""

    test_set: TestSet
    hypotheses: list[str]
    scores: Scores
    buckets: list[Bucket]
    unfinished: int  # translations cut at the maximum length
    empty: int  # translations without a word, of sources that have some
    file: Path | None  # of the figures, the hypotheses beside it; an exported model has no place for them


def split_of_config(loaded: LoadedRuns, split: str, reporter: Reporter) -> TestSet:
    """A held-out split of the run's own corpora, prepared again if it is gone; `test+long` is both together."""
    stage, _ = clean(loaded.config, reporter)
    texts = [load_split(stage.folder, name) for name in split.split("+")]
    return TestSet(
        split, [line for text in texts for line in text.source], [line for text in texts for line in text.target]
    )


def split_of_corpus(corpus: str, split: str, library: Library) -> TestSet:
    """A split of a listed corpus, fetched if it is missing."""
    text = library.read_split(corpus, split)
    return TestSet(f"{corpus}.{split}", text.source, text.target)


def files_as_test_set(source: Path, reference: Path) -> TestSet:
    """Two line-aligned files. Raises DataError if their line counts differ."""
    sources, references = read_lines(source), read_lines(reference)
    if len(sources) != len(references):
        raise DataError(
            f"{source}: has {len(sources)} lines but {reference} has {len(references)}; "
            "line N of one must translate line N of the other"
        )
    return TestSet(f"file.{source.stem}", sources, references)  # no split of a corpus has a dot in its name


def held_out_splits(loaded: LoadedRuns, reporter: Reporter) -> list[str]:
    """The splits of the run's corpora that training never looked at: all but train and dev, `test` first."""
    _, manifest = clean(loaded.config, reporter)
    names = [name for name in manifest.splits if name not in ("train", "dev")]
    return sorted(names, key=lambda name: (name != "test", name))


def evaluate_run(loaded: LoadedRuns, test_set: TestSet) -> Evaluation:
    """Translates and scores, and writes hypotheses and figures into the run's evaluation folder, if it is a run."""
    translations = list(loaded.translator.translate(test_set.source))
    hypotheses = [translation.text for translation in translations]
    references = [normalize(line) for line in test_set.reference]
    name = f"{test_set.name}.{loaded.label}" if loaded.label else test_set.name
    evaluation = Evaluation(
        test_set, hypotheses, score(hypotheses, references), by_length(test_set.source, hypotheses, references),
        unfinished=sum(not translation.hypotheses[0].finished for translation in translations),
        empty=sum(not translation.text and bool(normalize(translation.source)) for translation in translations),
        file=loaded.run.evaluation / f"{name}.json" if loaded.run else None,
    )  # fmt: skip
    if evaluation.file is not None:
        _write(evaluation, evaluation.file, loaded)
    return evaluation


def _write(evaluation: Evaluation, file: Path, loaded: LoadedRuns) -> None:
    with disk_errors(file.parent, "nothing of it was kept"):
        write_lines(file.with_name(f"{file.stem}.hypotheses.en"), evaluation.hypotheses)
        write_json(file, _figures(evaluation, loaded))


def evaluate_file(hypothesis: Path, reference: Path) -> Scores:
    """Scores any system's output. Raises DataError if the line counts differ."""
    hypotheses, references = read_lines(hypothesis), read_lines(reference)
    return score(hypotheses, references, (str(hypothesis), str(reference)))


def _figures(evaluation: Evaluation, loaded: LoadedRuns) -> dict[str, Any]:
    return {
        "kotrans": __version__,
        "date": now(),
        "checkpoints": loaded.names,
        "test_set": evaluation.test_set.name,
        **evaluation.scores.as_dict(),
        "by_source_words": [bucket.as_dict() for bucket in evaluation.buckets],
        "unfinished": evaluation.unfinished,
        "empty": evaluation.empty,
        "search": loaded.translator.config.model_dump(),
        "tokenizer": loaded.translator.tokenizer.fingerprint,
    }
