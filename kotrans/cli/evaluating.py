"""`kotrans eval`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.options import Mirror, Models, RunNames, Settings, corpus_names, find_library
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from kotrans.evaluate import Scores
    from kotrans.pipeline.evaluation import Evaluation, TestSet
    from kotrans.pipeline.translation import LoadedRuns


def evaluate(
    runs: RunNames = None,
    models: Models = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of the run's own corpora (test+long is both), or of --corpus; test if left out.",
            metavar="SPLIT",
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="A corpus of `kotrans corpora` instead.", metavar="CORPUS", autocompletion=corpus_names),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="A file of your own instead, with --reference.", metavar="FILE")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Reference translations, a line each.", metavar="FILE")] = None,
    hypothesis: Annotated[
        Path | None, typer.Option(help="Score this file; nothing is translated.", metavar="FILE")
    ] = None,
    settings: Settings = None,
    mirror: Mirror = None,
) -> None:
    """Translate a test set and score it with BLEU, chrF and TER.

    The figures and the translations are also written into the run, if it is one and no exported model.
    """
    from kotrans.pipeline.evaluation import evaluate_file, evaluate_run

    _check(split, corpus, source, reference, hypothesis)
    if hypothesis and reference:
        if runs or models or settings:
            raise UsageError("--hypothesis is scored as it is: leave out --run, --model and --set")
        show_scores(evaluate_file(hypothesis, reference))
        return
    loaded = _load([*(runs or []), *(models or [])], settings)
    files = (source, reference) if source and reference else None
    show(evaluate_run(loaded, _test_set(loaded, split or "test", corpus, files, mirror)))


def _check(
    split: str | None, corpus: str | None, source: Path | None, reference: Path | None, hypothesis: Path | None
) -> None:
    if bool(reference) != bool(source or hypothesis):
        raise UsageError("--reference goes with --source (to translate) or --hypothesis (to score as it is)")
    if source and hypothesis:
        raise UsageError("give either --source (to translate) or --hypothesis (to score as it is), not both")
    if reference and (split or corpus):
        raise UsageError("give either files (--reference) or a test set (--split, --corpus), not both")


def show(evaluation: "Evaluation", samples: int = 0) -> None:
    """Prints the figures, BLEU by length, and some translations."""
    from kotrans.report.tables import buckets_table

    test_set, hypotheses = evaluation.test_set, evaluation.hypotheses
    typer.echo(f"\n{test_set.name}: {len(hypotheses):,} sentences")
    show_scores(evaluation.scores)
    typer.echo(buckets_table(evaluation.buckets))
    typer.echo(f"{evaluation.unfinished} cut at the maximum length, {evaluation.empty} empty")
    if evaluation.file is not None:
        typer.echo(f"written to {evaluation.file} and {evaluation.file.stem}.hypotheses.en")
    step = max(1, len(hypotheses) // max(samples, 1))
    for i in range(step // 2, len(hypotheses), step)[:samples]:
        typer.echo(f"    {test_set.source[i]}\n    → {hypotheses[i]}\n    = {test_set.reference[i]}")


def show_scores(scores: "Scores") -> None:
    """Prints each score with its signature."""
    for name, value in (("BLEU", scores.bleu), ("chrF", scores.chrf), ("TER", scores.ter)):
        typer.echo(f"{name:<4} {value:6.2f}  {scores.signatures[name.lower()]}")


def _load(names: list[str | Path], settings: list[str] | None) -> "LoadedRuns":
    from kotrans.pipeline.translation import load_runs

    loaded = load_runs(names, settings or [])
    typer.echo(f"run {' + '.join(loaded.names)}", err=True)
    return loaded


def _test_set(
    loaded: "LoadedRuns", split: str, corpus: str | None, files: tuple[Path, Path] | None, mirror: str | None
) -> "TestSet":
    from kotrans.cli.display import StageDisplay
    from kotrans.pipeline.evaluation import files_as_test_set, split_of_config, split_of_corpus

    if files:
        return files_as_test_set(*files)
    if corpus:
        return split_of_corpus(corpus, split, find_library(mirror))
    return split_of_config(loaded, split, StageDisplay())
