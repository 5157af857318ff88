"""`kotrans eval`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kotrans.cli.options import (
    Mirror,
    Models,
    Reference,
    RunNames,
    Settings,
    Source,
    Split,
    SplitSentences,
    TestCorpus,
    file_option,
    find_library,
    with_split_sentences,
)
from kotrans.cli.translate_command import load_models
from kotrans.errors import UsageError

if TYPE_CHECKING:
    from kotrans.evaluation.evaluate import Evaluation
    from kotrans.evaluation.test_sets import TestSet
    from kotrans.translation.translator import Translator


def evaluate(
    runs: RunNames = None,
    models: Models = None,
    split: Split = None,
    corpus: TestCorpus = None,
    source: Source = None,
    reference: Reference = None,
    hypothesis: Annotated[Path | None, file_option("Score this file instead of translating.")] = None,
    origin: Annotated[
        Path | None,
        file_option("File with one label per line to group scores by (default: the corpora of the config)."),
    ] = None,
    glossary: Annotated[
        Path | None, file_option("Count the terms of this glossary in the translations; search.glossary enforces them.")
    ] = None,
    sentences: Annotated[
        int, typer.Option(metavar="N", help="Number of worst and best sentences to show (default: 0).", min=0)
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON.")] = False,
    split_sentences: SplitSentences = None,
    settings: Settings = None,
    mirror: Mirror = None,
) -> None:
    """Translate a test set and score it with BLEU, chrF and TER.

    Also prints scores by source length, origin and rarest word, and counts faults: lost numbers and Latin words, loops,
    empty lines. Results and translations are also written to the folder of the run, except for exported models.
    """
    from kotrans.evaluation.evaluate import evaluate_file, evaluate_run
    from kotrans.evaluation.test_sets import files_as_test_set
    from kotrans.translation.glossary import Glossary

    _check(reference, source or hypothesis, split or corpus)
    settings = with_split_sentences(settings, split_sentences)
    if hypothesis and reference:
        if runs or models or settings or glossary:
            raise UsageError(
                "--hypothesis is scored without a model: omit --run, --model, --set, --glossary and --split-sentences"
            )
        test_set = _with_origins(files_as_test_set(source, reference), origin)
        evaluation = evaluate_file(hypothesis, test_set, reference)
    else:
        translator = load_models([*(runs or []), *(models or [])], settings)
        files = (source, reference) if source and reference else None
        test_set = _with_origins(find_test_set(translator, split or "test", corpus, files, mirror), origin)
        terms = Glossary.load(glossary) if glossary else None
        evaluation = evaluate_run(translator, test_set, sentences, terms)
    show_json(evaluation.figures(sentences)) if as_json else show(evaluation, extremes=sentences)


def _check(reference: Path | None, other: Path | None, test_set: str | None) -> None:
    if bool(reference) != bool(other):
        raise UsageError("give --reference together with --source (to translate) or --hypothesis (to score)")
    if reference and test_set:
        raise UsageError("give either files (--reference) or a test set (--split, --corpus), not both")


def _with_origins(test_set: "TestSet", origin: Path | None) -> "TestSet":
    from kotrans.evaluation.test_sets import with_origins

    return with_origins(test_set, origin) if origin else test_set


def show(evaluation: "Evaluation", samples: int = 0, extremes: int = 0) -> None:
    """Prints scores, scores by group and faults, `extremes` worst and best sentences, and `samples` translations."""
    from kotrans.report.text_table import buckets_table, faults_table, sentences_text

    test_set, hypotheses, scores = evaluation.test_set, evaluation.hypotheses, evaluation.scores
    typer.echo(f"\n{test_set.name}: {len(hypotheses):,} sentences")
    for name, value in (("BLEU", scores.bleu), ("chrF", scores.chrf), ("TER", scores.ter)):
        typer.echo(f"{name:<4} {value:6.2f}  {scores.signatures[name.lower()]}")
    for title, buckets in (
        ("source words", evaluation.by_length),
        ("origin", evaluation.by_origin),
        ("training count of rarest word", evaluation.by_rarity),
    ):
        if buckets:
            typer.echo(f"\n{buckets_table(title, buckets)}")
    if evaluation.faults is not None:
        typer.echo(f"\n{faults_table(['translations'], [evaluation.faults])}")
    if (terms := evaluation.terms) is not None:
        typer.echo(f"\nglossary: {terms.kept:,} of {terms.terms:,} terms kept ({terms.kept / max(terms.terms, 1):.1%})")
    for which, chosen in (("worst", evaluation.worst(extremes)), ("best", evaluation.best(extremes))):
        if chosen:
            typer.echo(f"\n{which} sentences\n{sentences_text(chosen)}")
    if evaluation.file is not None:
        typer.echo(f"\nwritten to {evaluation.file} and {evaluation.file.stem}.hypotheses.en")
    step = max(1, len(hypotheses) // max(samples, 1))
    for i in range(step // 2, len(hypotheses), step)[:samples]:
        source = test_set.source[i] if test_set.source else ""
        typer.echo(f"    {source}\n    → {hypotheses[i]}\n    = {test_set.reference[i]}")


def show_json(figures: dict[str, Any]) -> None:
    """Prints indented JSON."""
    typer.echo(json.dumps(figures, ensure_ascii=False, indent=2))


def find_test_set(
    translator: "Translator", split: str, corpus: str | None, files: tuple[Path, Path] | None, mirror: str | None
) -> "TestSet":
    """Returns the files if given, else a split of a public corpus, else a split of the run's own corpora."""
    from kotrans.cli.display import StageDisplay
    from kotrans.evaluation.test_sets import files_as_test_set, split_of_config, split_of_corpus

    if files:
        return files_as_test_set(*files)
    if corpus:
        return split_of_corpus(corpus, split, find_library(mirror))
    return split_of_config(translator, split, StageDisplay())
