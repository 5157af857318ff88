"""`kotrans compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.eval_command import find_test_set, show_json
from kotrans.cli.options import (
    Mirror,
    Reference,
    Settings,
    Source,
    Split,
    SplitSentences,
    TestCorpus,
    file_option,
    run_names,
    with_split_sentences,
)
from kotrans.cli.translate_command import load_models
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from kotrans.evaluation.compare import SystemComparison


def compare(
    systems: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN_A RUN_B]",
            help="Two runs (RUN or RUN/CHECKPOINT), or paths of exported models.",
            autocompletion=run_names,
        ),
    ] = None,
    hypotheses: Annotated[
        list[Path] | None, file_option("Output of any system instead of a run; give it twice.", "--hypothesis")
    ] = None,
    split: Split = None,
    corpus: TestCorpus = None,
    source: Source = None,
    reference: Reference = None,
    sentences: Annotated[
        int, typer.Option(metavar="N", help="Number of example sentences per system (default: 3).", min=0)
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON.")] = False,
    split_sentences: SplitSentences = None,
    settings: Settings = None,
    mirror: Mirror = None,
) -> None:
    """Compare two runs or two files, with a significance test.

    Scores are BLEU, chrF and TER with sacrebleu's paired bootstrap over 1,000 resamples. Translations that a run has
    made before are reused.
    """
    settings = with_split_sentences(settings, split_sentences)
    if hypotheses:
        if systems or split or corpus or settings or reference is None:
            raise UsageError("--hypothesis needs --reference, and allows no other option except --source and --json")
        comparison = _of_files(hypotheses, source, reference)
    else:
        comparison = _of_runs(systems or [], split, corpus, source, reference, settings, mirror)
    show_json(comparison.figures(sentences)) if as_json else _show(comparison, sentences)


def _of_files(hypotheses: list[Path], source: Path | None, reference: Path) -> "SystemComparison":
    from kotrans.evaluation.compare import compare_files
    from kotrans.evaluation.test_sets import files_as_test_set

    if len(hypotheses) != 2:
        raise UsageError(f"give --hypothesis twice, not {len(hypotheses)} times")
    return compare_files(hypotheses[0], hypotheses[1], files_as_test_set(source, reference), reference)


def _of_runs(
    systems: list[str],
    split: str | None,
    corpus: str | None,
    source: Path | None,
    reference: Path | None,
    settings: list[str],
    mirror: str | None,
) -> "SystemComparison":
    from kotrans.evaluation.compare import compare_runs

    if len(systems) != 2:
        raise UsageError(f"give two runs, or --hypothesis twice, not {len(systems)} runs; `kotrans runs` lists them")
    if bool(source) != bool(reference):
        raise UsageError("give --source and --reference together")
    if source and (split or corpus):
        raise UsageError("give either files (--reference) or a test set (--split, --corpus), not both")
    first, second = (load_models([name], settings) for name in systems)
    files = (source, reference) if source and reference else None
    comparison = compare_runs(first, second, find_test_set(first, split or "test", corpus, files, mirror))
    for name, written in zip(comparison.names, comparison.written_before, strict=True):
        if written:
            typer.echo(f"{name}: reusing its earlier translations, which are up to date", err=True)
    return comparison


def _show(comparison: "SystemComparison", sentences: int) -> None:
    from kotrans.report.text_table import comparison_table, faults_table, sentences_text

    names = comparison.names
    typer.echo(f"\n{comparison.test_set.name}: {len(comparison.test_set.reference):,} sentences")
    typer.echo(comparison_table(names, comparison.metrics))
    typer.echo("* p < 0.05")
    for metric in comparison.metrics:
        typer.echo(f"{metric.metric:<4} {metric.signature}")
    if comparison.faults is not None:
        typer.echo(f"\n{faults_table(names, comparison.faults)}")
    for number, name in enumerate(names):
        if chosen := comparison.better(number, sentences):
            typer.echo(f"\n{name} is better\n{sentences_text(chosen, names)}")
