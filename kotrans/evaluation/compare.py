"""Compares two systems on a test set: scores with significance, faults, and sentences that differ most."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kotrans.evaluation.diagnostics import ScoredPair, scored_pairs
from kotrans.evaluation.evaluate import evaluate_run, read_hypotheses, training_corpus, written_hypotheses
from kotrans.evaluation.faults import Faults, count_faults
from kotrans.evaluation.metrics import sentence_chrf
from kotrans.evaluation.significance import PairedTest, paired_bootstrap
from kotrans.evaluation.test_sets import TestSet
from kotrans.storage.resources import VERSION
from kotrans.text.normalization import normalize
from kotrans.translation.translator import Translator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SystemComparison:
    """Two systems, in the order given."""

    test_set: TestSet
    names: tuple[str, str]
    hypotheses: tuple[list[str], list[str]]
    metrics: list[PairedTest]
    chrf: tuple[list[float], list[float]]
    """Of each sentence."""
    faults: tuple[Faults, Faults] | None
    """None without sources."""
    written_before: tuple[bool, ...] = ()
    """For each run, whether translations written by an earlier `kotrans eval` were used."""

    def better(self, system: int, most: int) -> list[ScoredPair]:
        """Returns sentences that system 0 or 1 translates better than the other, by difference in chrF, largest first.

        Equal differences are ordered by line.
        """
        gains = [own - other for own, other in zip(self.chrf[system], self.chrf[1 - system], strict=True)]
        lines = [i for i in sorted(range(len(gains)), key=lambda i: -gains[i])[:most] if gains[i] > 0]
        return scored_pairs(lines, self.chrf, self.test_set.source, self.hypotheses, self.test_set.reference)

    def figures(self, sentences: int) -> dict[str, Any]:
        """Returns a JSON object. sentences: number of sentences per system that it translates better."""
        return {
            "kotrans": VERSION,
            "test_set": self.test_set.name,
            "pairs": len(self.test_set.reference),
            "systems": list(self.names),
            "written_before": list(self.written_before),
            "metrics": {metric.metric.lower(): metric.as_dict() for metric in self.metrics},
            "faults": [faults.as_dict() for faults in self.faults] if self.faults else None,
            "better": [[asdict(each) for each in self.better(system, sentences)] for system in (0, 1)],
        }


def compare_runs(first: Translator, second: Translator, test_set: TestSet) -> SystemComparison:
    """Compares the translations of two runs or exported models; translates only what `kotrans eval` has not written.

    Logs a warning if the runs were trained on different text: a split of one run's corpora may be in the training text
    of the other.
    """
    translators = (first, second)
    corpora = [training_corpus(each.spec.run) for each in translators]
    names = first.spec.names[0], second.spec.names[0]
    if None not in corpora and corpora[0] != corpora[1]:
        logger.warning("%s and %s were trained on different text: make sure that neither has seen the test set", *names)
    written = [written_hypotheses(each, test_set) for each in translators]
    hypotheses = [
        evaluate_run(translator, test_set).hypotheses if lines is None else lines
        for translator, lines in zip(translators, written, strict=True)
    ]
    references = [normalize(line) for line in test_set.reference]
    comparison = _compared(test_set, names, (hypotheses[0], hypotheses[1]), references)
    return replace(comparison, written_before=tuple(lines is not None for lines in written))


def compare_files(first: Path, second: Path, test_set: TestSet, reference: Path) -> SystemComparison:
    """Compares the outputs of any two systems as they are. Raises DataError if the numbers of lines differ."""
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
