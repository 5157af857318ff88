"""Scores the translations of a run, or of any file, against references."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kotrans.data.dataset import DatasetManifest
from kotrans.data.prepare_corpus import CorpusManifest
from kotrans.data.stages import training_word_counts
from kotrans.errors import DataError
from kotrans.evaluation.diagnostics import ScoredPair, by_rarest_word, scored_pairs, seen_pairs
from kotrans.evaluation.faults import Faults, count_faults
from kotrans.evaluation.metrics import Bucket, Scores, by_label, by_length, check_lines, score, sentence_chrf
from kotrans.evaluation.test_sets import TestSet, was_trained_on
from kotrans.runs.run import Run, now
from kotrans.storage.files import content_key, disk_errors, read_lines, sha256, stream_lines, write_json, write_lines
from kotrans.storage.paths import prepared_folder
from kotrans.storage.resources import VERSION
from kotrans.text.normalization import normalize
from kotrans.translation.glossary import Glossary, TermSurvival
from kotrans.translation.multiprocess import translate_text
from kotrans.translation.translator import Translator

logger = logging.getLogger(__name__)
_TEXTS = frozenset({"glossary", "prefix"})  # settings of the search


@dataclass(frozen=True)
class Evaluation:
    """Translations of a test set with their scores."""

    test_set: TestSet
    hypotheses: list[str]
    scores: Scores
    chrf: list[float]
    """Of each sentence."""
    by_length: list[Bucket]
    by_origin: list[Bucket]
    """Empty if all pairs have the same origin, or no origin."""
    by_rarity: list[Bucket]
    """Empty if the training text is not on this machine."""
    faults: Faults | None
    """None without sources."""
    seen: list[int] | None = None
    """Lines that the training text has, from 1; None if this was not checked."""
    terms: TermSurvival | None = None
    """Of the glossary that was given; None without one."""
    copies: list[dict[str, Any]] = field(default_factory=list)
    """Literals copied from the sources: line, text of the model, and its replacement."""
    made: dict[str, Any] = field(default_factory=dict)
    """Date, checkpoints and everything else the translations depend on; empty for a file."""
    file: Path | None = None
    """Figures in the run's evaluation folder, with the hypotheses beside them; None if the translator is not a run."""

    def worst(self, most: int) -> list[ScoredPair]:
        """Returns the sentences with the lowest chrF, lowest first; equal ones by line."""
        return self._sorted(most, sign=1)

    def best(self, most: int) -> list[ScoredPair]:
        """Returns the sentences with the highest chrF, highest first; equal ones by line."""
        return self._sorted(most, sign=-1)

    def _sorted(self, most: int, sign: int) -> list[ScoredPair]:
        indices = sorted(range(len(self.chrf)), key=lambda i: sign * self.chrf[i])[:most]
        return scored_pairs(indices, [self.chrf], self.test_set.source, [self.hypotheses], self.test_set.reference)

    def figures(self, sentences: int = 0) -> dict[str, Any]:
        """Returns a JSON object of everything but the hypotheses. sentences: number of worst and best ones."""
        extremes = {"worst": self.worst(sentences), "best": self.best(sentences)} if sentences else {}
        return {
            "kotrans": VERSION,
            "test_set": self.test_set.name,
            **asdict(self.scores),
            "by_source_words": list(map(asdict, self.by_length)),
            "by_origin": list(map(asdict, self.by_origin)),
            "by_rarest_word": list(map(asdict, self.by_rarity)),
            "faults": self.faults and self.faults.as_dict(),
            **({} if self.seen is None else {"seen_in_training": self.seen}),
            **({} if self.terms is None else {"glossary_terms": self.terms._asdict()}),
            "copies": self.copies,
            **{name: list(map(asdict, pairs)) for name, pairs in extremes.items()},
            **self.made,
        }


def evaluate_run(
    translator: Translator, test_set: TestSet, sentences: int = 0, glossary: Glossary | None = None
) -> Evaluation:
    """Translates and scores a test set. Of a run, writes hypotheses and figures into its evaluation folder.

    Sources are translated whole, as in training, unless `search.split_sentences` is true. sentences: number of worst
    and best sentences in the figures. glossary: whose terms to count in the translations.
    """
    assert test_set.source is not None
    spec = translator.spec
    trained_on = training_corpus(spec.run)
    corpus = trained_on or test_set.corpus
    words = training_word_counts(corpus) if corpus else None
    splits = translator.config.splits_pairs
    translations = list(translate_text(translator, test_set.source, split_sentences=splits))
    evaluation = replace(
        _evaluated(
            replace(test_set, reference=[normalize(line) for line in test_set.reference]),
            [translation.text for translation in translations],
            words,
            [n for n, each in enumerate(translations, start=1) if not each.hypotheses[0].finished],
        ),
        test_set=test_set,
        # A split of the corpora that the run was trained on needs no check: cleaning has dropped its pairs from train.
        seen=None if trained_on is None or trained_on == test_set.corpus else _seen(test_set, trained_on),
        terms=glossary.survival(test_set.source, [each.text for each in translations]) if glossary else None,
        copies=[
            {"line": n, "said": copy.said, "copied": copy.copied}
            for n, each in enumerate(translations, start=1)
            for copy in each.hypotheses[0].copies
        ],
        made={"date": now(), "checkpoints": spec.names, **_provenance(translator, test_set)},
        file=_figures_file(translator, test_set),
    )
    if evaluation.file is not None:
        _write(evaluation, evaluation.file, sentences)
    return evaluation


def evaluate_file(hypothesis: Path, test_set: TestSet, reference: Path) -> Evaluation:
    """Scores the output of any system as it is. Raises DataError if the numbers of lines differ."""
    return _evaluated(test_set, read_hypotheses(hypothesis, test_set, reference))


def read_hypotheses(file: Path, test_set: TestSet, reference: Path) -> list[str]:
    """Reads the output of a system. reference: file of the references, for messages.

    Raises DataError if the numbers of lines differ.
    """
    lines = read_lines(file)
    check_lines(lines, test_set.reference, (str(file), str(reference)))
    return lines


def written_hypotheses(translator: Translator, test_set: TestSet) -> list[str] | None:
    """Returns hypotheses that an earlier evaluation wrote, if they would be the same now; otherwise None.

    Version, weights, tokenizer, search settings, precision, device and sources must be equal, and the file unchanged.
    """
    file = _figures_file(translator, test_set)
    try:
        if file is None or not file.is_file():
            return None
        figures = json.loads(file.read_bytes())
        expected = {"kotrans": VERSION, **_provenance(translator, test_set)}
        if {key: figures.get(key) for key in expected} != expected:
            return None
        if figures.get("hypotheses") != sha256(_hypotheses_file(file)):
            return None
    except (ValueError, AttributeError, OSError, RecursionError):
        return None
    return read_lines(_hypotheses_file(file))


def training_corpus(run: Run | None) -> Path | None:
    """Returns the prepared corpus that a run was trained on; None if it is not on this machine."""
    if run is None:
        return None
    try:
        dataset = DatasetManifest.read(prepared_folder() / f"dataset-{run.record().dataset}")
        corpus = prepared_folder() / f"corpus-{dataset.corpus}"
        CorpusManifest.read(corpus)
    except DataError:  # deleted, or of another version
        return None
    return corpus


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


def _seen(test_set: TestSet, corpus: Path) -> list[int]:
    """Returns the lines of the test set that the training text has, from 1, and logs their number."""
    assert test_set.source is not None
    training = zip(stream_lines(corpus / "train.ko"), stream_lines(corpus / "train.en"), strict=True)
    seen = [number + 1 for number in seen_pairs(test_set.source, test_set.reference, training)]
    if seen:
        logger.warning(
            "%s: %d of %d pairs, or one of their sides with four or more words, are in the text the run was trained on",
            test_set.name, len(seen), len(test_set.reference),
        )  # fmt: skip
    return seen


def _provenance(translator: Translator, test_set: TestSet) -> dict[str, Any]:
    """Everything the translations depend on but the version."""
    search = translator.config
    return {
        "weights": list(translator.hashes),
        "tokenizer": translator.tokenizer.fingerprint,
        # Earlier versions wrote no `split_sentences` and split sources.
        "search": {**search.model_dump(mode="json"), "split_sentences": search.splits_pairs},
        **({"glossary": translator.glossary.key} if translator.glossary else {}),
        "precision": translator.precision,
        "device": translator.device,
        "source": content_key(test_set.source),
    }


def _figures_file(translator: Translator, test_set: TestSet) -> Path | None:
    """File in the run's evaluation folder. Test sets that a name alone does not identify have a hash in it."""
    spec = translator.spec
    if spec.run is None:
        return None
    own = test_set.corpus is not None and was_trained_on(translator, test_set.corpus)
    parts = [test_set.name, "" if own or test_set.listed else content_key(test_set.source), spec.label]
    return spec.run.evaluation / f"{'.'.join(filter(None, [*parts, *_overridden(translator)]))}.json"


def _overridden(translator: Translator) -> list[str]:
    """Names the precision and search settings that are not the run's own; the batch size does not change results.

    Translations of split sources always have another name than those of whole ones.
    """
    own, used = (
        search.model_dump(exclude={"batch", "split_sentences"})
        for search in (translator.spec.own_search, translator.config)
    )
    precision = [] if translator.precision == "fp32" else [translator.precision]
    splits = ["split_sentences=True"] if translator.config.splits_pairs else []
    changed = {key: value for key, value in used.items() if value != own[key]}
    for key in _TEXTS & changed.keys():  # may have any characters
        changed[key] = content_key(str(changed[key]))
    return [*precision, *(f"{key}={value}" for key, value in changed.items()), *splits]


def _hypotheses_file(figures: Path) -> Path:
    return figures.with_name(f"{figures.stem}.hypotheses.en")


def _write(evaluation: Evaluation, file: Path, sentences: int) -> None:
    hypotheses = _hypotheses_file(file)
    with disk_errors(file.parent, "nothing was written"):
        write_lines(hypotheses, evaluation.hypotheses)
        write_json(file, evaluation.figures(sentences) | {"hypotheses": sha256(hypotheses)})
