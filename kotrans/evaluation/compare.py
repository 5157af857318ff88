"""Two systems on one test set: whether one is better, in what, and on which sentences."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kotrans.evaluation.diagnostics import ScoredPair, highest, judged
from kotrans.evaluation.evaluate import evaluate_run, read_hypotheses, training_corpus, written_hypotheses
from kotrans.evaluation.faults import Faults, count_faults
from kotrans.evaluation.metrics import sentence_chrf
from kotrans.evaluation.significance import PairedTest, paired_bootstrap
from kotrans.evaluation.test_sets import TestSet
from kotrans.storage.resources import VERSION
from kotrans.text.normalization import normalize
from kotrans.translation.model_loading import LoadedRuns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SystemComparison:
    """Two systems, in the order in which they were given."""

    test_set: TestSet
    names: tuple[str, str]
    hypotheses: tuple[list[str], list[str]]
    metrics: list[PairedTest]
    chrf: tuple[list[float], list[float]]  # of each sentence
    faults: tuple[Faults, Faults] | None  # None without sources
    written_before: tuple[bool, ...] = ()  # for each run, whether `kotrans eval` had written its translations

    def better(self, system: int, most: int) -> list[ScoredPair]:
        """The sentences that this system (0 or 1) translates better than the other, by chrF, the clearest first."""
        gains = [ours - other for ours, other in zip(self.chrf[system], self.chrf[1 - system], strict=True)]
        lines = [i for i in highest(gains, most) if gains[i] > 0]
        return judged(lines, self.chrf, self.test_set.source, self.hypotheses, self.test_set.reference)

    def figures(self, sentences: int) -> dict[str, Any]:
        """All of it ready for JSON, with so many of the sentences that each translates better."""
        return {
            "kotrans": VERSION,
            "test_set": self.test_set.name,
            "pairs": len(self.test_set.reference),
            "systems": list(self.names),
            "written_before": list(self.written_before),
            "metrics": {metric.metric.lower(): metric.as_dict() for metric in self.metrics},
            "faults": [faults.as_dict() for faults in self.faults] if self.faults else None,
            "better": [[each.as_dict() for each in self.better(system, sentences)] for system in (0, 1)],
        }


def compare_runs(first: LoadedRuns, second: LoadedRuns, test_set: TestSet) -> SystemComparison:
    """Compares what two runs make of a test set, of which translations are taken where they are written already."""
    _warn_of_other_text(first, second)
    written = [written_hypotheses(loaded, test_set) for loaded in (first, second)]
    ours, theirs = (
        evaluate_run(loaded, test_set).hypotheses if lines is None else lines
        for loaded, lines in zip((first, second), written, strict=True)
    )
    references = [normalize(line) for line in test_set.reference]
    comparison = _compared(test_set, (first.names[0], second.names[0]), (ours, theirs), references)
    return replace(comparison, written_before=tuple(lines is not None for lines in written))


def compare_files(first: Path, second: Path, test_set: TestSet, reference: Path) -> SystemComparison:
    """Compares any two systems' outputs, as they are. Raises DataError if the line counts differ."""
    hypotheses = read_hypotheses(first, test_set, reference), read_hypotheses(second, test_set, reference)
    return _compared(test_set, (str(first), str(second)), hypotheses, test_set.reference)


def _compared(
    test_set: TestSet, names: tuple[str, str], hypotheses: tuple[list[str], list[str]], references: Sequence[str]
) -> SystemComparison:
    first, second = hypotheses
    source = test_set.source
    return SystemComparison(
        test_set, names, hypotheses,
        metrics=paired_bootstrap(first, second, references),
        chrf=(sentence_chrf(first, references), sentence_chrf(second, references)),
        faults=None if source is None
        else (count_faults(source, first, references), count_faults(source, second, references)),
    )  # fmt: skip


def _warn_of_other_text(first: LoadedRuns, second: LoadedRuns) -> None:
    """A split of one run's corpora may stand in the training text of a run of other corpora."""
    corpora = [training_corpus(loaded.run) for loaded in (first, second)]
    if None not in corpora and corpora[0] != corpora[1]:
        logger.warning(
            "%s and %s were trained on different text: make sure that neither has seen the test set",
            first.names[0], second.names[0],
        )  # fmt: skip
