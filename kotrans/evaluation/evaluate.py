"""Scoring a run, or any file, against references."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kotrans.config.loading import load_config
from kotrans.data.dataset import DatasetManifest
from kotrans.data.prepare_corpus import CorpusManifest
from kotrans.data.stages import training_words
from kotrans.errors import DataError
from kotrans.evaluation.diagnostics import ScoredPair, by_rarest_word, highest, judged, lowest, seen_pairs
from kotrans.evaluation.faults import Faults, count_faults
from kotrans.evaluation.metrics import Bucket, Scores, by_label, by_length, check_lines, score, sentence_chrf
from kotrans.evaluation.test_sets import TestSet, was_trained_on
from kotrans.runs.run import Run, now
from kotrans.storage.files import content_key, disk_errors, read_lines, sha256, stream_lines, write_json, write_lines
from kotrans.storage.paths import prepared_folder
from kotrans.storage.resources import VERSION
from kotrans.text.normalization import normalize
from kotrans.translation.model_loading import LoadedRuns
from kotrans.translation.multiprocess import translate_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What came out, and where it was written."""

    test_set: TestSet
    hypotheses: list[str]
    scores: Scores
    chrf: list[float]  # of each sentence
    by_length: list[Bucket]
    by_origin: list[Bucket]  # empty if all pairs are from the same corpus, or none says where it is from
    by_rarity: list[Bucket]  # empty if the training text is not here
    faults: Faults | None  # None without sources
    seen: list[int] | None = None  # lines that the training text has, counted from 1; None if that was not looked for
    copies: list[dict[str, Any]] = field(default_factory=list)  # line, what the model said, what was copied over it
    made: dict[str, Any] = field(default_factory=dict)  # by what, when and how; empty for a file
    file: Path | None = None  # of the figures, the hypotheses beside it; only a run has a place for them

    def worst(self, most: int) -> list[ScoredPair]:
        """The sentences of the least chrF, the least first."""
        return self._judged(lowest(self.chrf, most))

    def best(self, most: int) -> list[ScoredPair]:
        """The sentences of the greatest chrF, the greatest first."""
        return self._judged(highest(self.chrf, most))

    def _judged(self, lines: list[int]) -> list[ScoredPair]:
        return judged(lines, [self.chrf], self.test_set.source, [self.hypotheses], self.test_set.reference)

    def figures(self, sentences: int = 0) -> dict[str, Any]:
        """Everything but the hypotheses, ready for JSON, with so many of the worst and best sentences."""
        buckets = {
            "by_source_words": self.by_length, "by_origin": self.by_origin, "by_rarest_word": self.by_rarity,
        }  # fmt: skip
        extremes = {
            "worst": [each.as_dict() for each in self.worst(sentences)],
            "best": [each.as_dict() for each in self.best(sentences)],
        }
        return {
            "kotrans": VERSION,
            "test_set": self.test_set.name,
            **self.scores.as_dict(),
            **{name: [bucket.as_dict() for bucket in values] for name, values in buckets.items()},
            "faults": self.faults and self.faults.as_dict(),
            **({} if self.seen is None else {"seen_in_training": self.seen}),
            "copies": self.copies,
            **(extremes if sentences else {}),
            **self.made,
        }


def evaluate_run(loaded: LoadedRuns, test_set: TestSet, sentences: int = 0) -> Evaluation:
    """Translates and scores, and writes hypotheses and figures into the run's evaluation folder, if it is a run.

    Each source is translated whole, as training saw it, unless `search.split_sentences` is true. The figures hold so
    many of the worst and best sentences.
    """
    assert test_set.source is not None
    trained_on = training_corpus(loaded.run)
    corpus = trained_on or test_set.corpus
    words = training_words(corpus) if corpus else None
    splits = loaded.config.search.splits_pairs
    translations = list(translate_text(loaded, test_set.source, split_sentences=splits))
    evaluation = replace(
        _evaluated(
            replace(test_set, reference=[normalize(line) for line in test_set.reference]),
            [translation.text for translation in translations],
            words,
            [n for n, each in enumerate(translations, start=1) if not each.hypotheses[0].finished],
        ),
        test_set=test_set,
        seen=None if trained_on is None or trained_on == test_set.corpus else _seen(test_set, trained_on),
        copies=[
            {"line": n, "said": copy.said, "copied": copy.copied}
            for n, each in enumerate(translations, start=1)
            for copy in each.hypotheses[0].copies
        ],
        made={"date": now(), "checkpoints": loaded.names, **_provenance(loaded, test_set)},
        file=_figures_file(loaded, test_set),
    )
    if evaluation.file is not None:
        _write(evaluation, evaluation.file, sentences)
    return evaluation


def _seen(test_set: TestSet, corpus: Path) -> list[int]:
    """Lines of the test set that the training text has, which is logged. A split of its own corpora was cleaned of."""
    assert test_set.source is not None
    training = zip(stream_lines(corpus / "train.ko"), stream_lines(corpus / "train.en"), strict=True)
    seen = [number + 1 for number in seen_pairs(test_set.source, test_set.reference, training)]
    if seen:
        logger.warning(
            "%s: %d of %d pairs, or a side of theirs of four or more words, are in the text the run was trained on",
            test_set.name, len(seen), len(test_set.reference),
        )  # fmt: skip
    return seen


def evaluate_file(hypothesis: Path, test_set: TestSet, reference: Path) -> Evaluation:
    """Scores any system's output, as it is. Raises DataError if the line counts differ."""
    return _evaluated(test_set, read_hypotheses(hypothesis, test_set, reference))


def read_hypotheses(file: Path, test_set: TestSet, reference: Path) -> list[str]:
    """A system's output. Raises DataError unless it has a line for each of the references, which are in that file."""
    lines = read_lines(file)
    check_lines(lines, test_set.reference, (str(file), str(reference)))
    return lines


def written_hypotheses(loaded: LoadedRuns, test_set: TestSet) -> list[str] | None:
    """What an earlier evaluation wrote, if it is certain that the same translator made it of the same sources.

    That is: the same version, weights, tokenizer, search settings, precision and device, and the file is unchanged.
    """
    file = _figures_file(loaded, test_set)
    try:
        if file is None or not file.is_file():
            return None
        figures = json.loads(file.read_bytes())
        expected = {"kotrans": VERSION, **_provenance(loaded, test_set)}
        if {key: figures.get(key) for key in expected} != expected:
            return None
        if figures.get("hypotheses") != sha256(_hypotheses_file(file)):
            return None
    except (ValueError, AttributeError, OSError, RecursionError):
        return None
    return read_lines(_hypotheses_file(file))


def _evaluated(
    test_set: TestSet, hypotheses: list[str], words: Mapping[str, int] | None = None,
    unfinished: list[int] | None = None,
) -> Evaluation:  # fmt: skip
    source, reference, origin = test_set.source, test_set.reference, test_set.origin
    return Evaluation(
        test_set, hypotheses, score(hypotheses, reference), sentence_chrf(hypotheses, reference),
        by_length=[] if source is None else by_length(source, hypotheses, reference),
        by_origin=by_label(origin, hypotheses, reference) if origin and len(set(origin)) > 1 else [],
        by_rarity=[] if words is None else by_rarest_word(hypotheses, reference, words),
        faults=None if source is None else count_faults(source, hypotheses, reference, unfinished),
    )  # fmt: skip


def training_corpus(run: Run | None) -> Path | None:
    """The prepared corpus that a run was trained on, if that and what was made of it are here."""
    if run is None:
        return None
    try:
        dataset = DatasetManifest.read(prepared_folder() / f"dataset-{run.record().dataset}")
        corpus = prepared_folder() / f"corpus-{dataset.corpus}"
        CorpusManifest.read(corpus)
    except DataError:  # deleted, or of another version
        return None
    return corpus


def _provenance(loaded: LoadedRuns, test_set: TestSet) -> dict[str, Any]:
    """All that the translations depend on but the program itself."""
    search = loaded.translator.config
    return {
        "weights": list(loaded.seals),
        "tokenizer": loaded.translator.tokenizer.fingerprint,
        # Figures of earlier versions have no `split_sentences`: their sources were split.
        "search": {**search.model_dump(), "split_sentences": search.splits_pairs},
        "precision": loaded.precision,
        "device": loaded.translator.device.type,
        "source": content_key(test_set.source),
    }


def _figures_file(loaded: LoadedRuns, test_set: TestSet) -> Path | None:
    """A name alone is for a split of the run's own text or of a listed corpus; other text has a hash besides."""
    if loaded.run is None:
        return None
    own = test_set.corpus is not None and was_trained_on(loaded, test_set.corpus)
    parts = [test_set.name, "" if own or test_set.listed else content_key(test_set.source), loaded.label]
    return loaded.run.evaluation / f"{'.'.join(filter(None, [*parts, *_changed(loaded, loaded.run)]))}.json"


def _changed(loaded: LoadedRuns, run: Run) -> list[str]:
    """What of the precision and the search is not the run's own; how many sentences are a batch says nothing.

    Translations of split sources never have the name of those of whole ones, whatever the run's own setting is.
    """
    own, here = (
        config.search.model_dump(exclude={"batch", "split_sentences"})
        for config in (load_config(run.folder / "config.yaml"), loaded.config)
    )
    search = [f"{key}={value}" for key, value in here.items() if value != own[key]]
    search += ["split_sentences=True"] if loaded.config.search.splits_pairs else []
    return search if loaded.precision == "fp32" else [loaded.precision, *search]


def _hypotheses_file(figures: Path) -> Path:
    return figures.with_name(f"{figures.stem}.hypotheses.en")


def _write(evaluation: Evaluation, file: Path, sentences: int) -> None:
    hypotheses = _hypotheses_file(file)
    with disk_errors(file.parent, "nothing of it was kept"):
        write_lines(hypotheses, evaluation.hypotheses)
        write_json(file, evaluation.figures(sentences) | {"hypotheses": sha256(hypotheses)})
