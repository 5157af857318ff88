"""The scores that `kotrans train` prints at the end; imported before training begins."""

import typer

from kotrans.cli.eval_command import show
from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.evaluation.base_comparison import compare_with_base
from kotrans.evaluation.evaluate import evaluate_run
from kotrans.evaluation.test_sets import scored_splits, split_of_prepared
from kotrans.report.text_table import base_table
from kotrans.runs.run import Run
from kotrans.translation.translator import Translator


def show_scores(run: Run, corpus: PreparedCorpus) -> None:
    """Scores a run on the test splits of its corpus and prints the results; also those of the model it started from."""
    translator = Translator.load(run.name)
    for split in scored_splits(corpus):
        show(evaluate_run(translator, split_of_prepared(corpus, split)), samples=5)
    if run.base.is_dir():
        typer.echo(f"\n{base_table(compare_with_base(translator, run, corpus))}")
