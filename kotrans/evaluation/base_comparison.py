"""What a training that started from another model gained, and what it forgot."""

from dataclasses import dataclass
from pathlib import Path

from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.errors import CheckpointError
from kotrans.evaluation.evaluate import evaluate_run, training_corpus
from kotrans.evaluation.test_sets import TestSet, scored_splits, split_of_prepared
from kotrans.runs.run import Run
from kotrans.runs.runs_folder import find_run
from kotrans.translation.translator import Translator


@dataclass(frozen=True)
class BaseComparison:
    """BLEU of a test set before and after the training."""

    name: str
    """Split, and whether it is of the run's own corpora or of those that the base model was trained on."""
    pairs: int
    before: float
    after: float


def compare_with_base(translator: Translator, run: Run, corpus: PreparedCorpus) -> list[BaseComparison]:
    """Scores the base model of a run and the run itself on the test splits of both.

    The base model's splits are left out if its run or its corpora are not on this machine.
    """
    base = Translator.load(run.base)
    found = [(f"{split} of {run.name}", split_of_prepared(corpus, split)) for split in scored_splits(corpus)]
    if old := _base_corpus(run):
        earlier, name = old
        found += [(f"{split} of {name}", split_of_prepared(earlier, split)) for split in scored_splits(earlier)]
    return [_compared(name, test_set, base, translator) for name, test_set in found]


def _base_corpus(run: Run) -> tuple[PreparedCorpus, str] | None:
    """Returns the corpus of the base model's run, with the run's name; None if it is not on this machine."""
    name = Path(run.record().base or "").parts[:1]
    try:
        base = find_run(name[0]) if name else None
    except CheckpointError:
        return None
    folder = training_corpus(base)
    return (PreparedCorpus.read(folder), base.name) if base is not None and folder is not None else None


def _compared(name: str, test_set: TestSet, base: Translator, after: Translator) -> BaseComparison:
    before_bleu, after_bleu = (evaluate_run(each, test_set).scores.bleu for each in (base, after))
    return BaseComparison(name, len(test_set.reference), before_bleu, after_bleu)
