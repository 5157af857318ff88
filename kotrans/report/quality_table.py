"""Faults, comparisons and the sentences behind them, for people."""

from collections.abc import Iterator, Sequence

from kotrans.evaluation.extremes import ScoredPair
from kotrans.evaluation.faults import Faults, LiteralSurvival
from kotrans.evaluation.significance import Interval, PairedTest
from kotrans.report.text_table import table

_SURE = 0.05  # a difference with a lower p-value is marked


def faults_table(names: Sequence[str], faults: Sequence[Faults]) -> str:
    """The faults of each system in a column."""
    rows = [
        ["numbers kept", *(_kept(each.numbers) for each in faults)],
        ["Latin words kept", *(_kept(each.latin) for each in faults)],
        ["placeholders, addresses, code kept", *(_kept(each.opaque) for each in faults)],
        ["loops", *(_lines(each.loops, each) for each in faults)],
        ["empty", *(_lines(each.empty, each) for each in faults)],
    ]
    if any(each.unfinished is not None for each in faults):
        rows.append(["cut at the maximum length", *(_lines(each.unfinished, each) for each in faults)])
    return table(["faults", *names], rows)


def comparison_table(names: Sequence[str], metrics: Sequence[PairedTest]) -> str:
    """Scores with the interval that holds 95 % of the resamples, the difference, and how likely it is by chance."""
    rows = [
        *([name, *(_interval(metric.systems[i]) for metric in metrics)] for i, name in enumerate(names)),
        ["difference", *(f"{metric.difference:+.2f}" for metric in metrics)],
        ["p", *(f"{metric.p_value:.4f}{'*' if metric.p_value < _SURE else ''}" for metric in metrics)],
    ]
    return table(["", *(metric.metric for metric in metrics)], rows)


def sentences_text(sentences: Sequence[ScoredPair], names: Sequence[str] = ()) -> str:
    """Each with its line number, the chrF of each system, source, translations and reference."""
    return "\n".join(line for sentence in sentences for line in _sentence(sentence, names))


def _sentence(sentence: ScoredPair, names: Sequence[str]) -> Iterator[str]:
    yield f"line {sentence.line:,}, chrF {' and '.join(f'{chrf:.1f}' for chrf in sentence.chrf)}"
    if sentence.source is not None:
        yield f"    {sentence.source}"
    for number, hypothesis in enumerate(sentence.hypotheses):
        yield f"    → {hypothesis}" + (f"  ({names[number]})" if names else "")
    yield f"    = {sentence.reference}"


def _interval(interval: Interval) -> str:
    return f"{interval.score:.2f} ({interval.mean:.2f} ± {interval.half_width:.2f})"


def _kept(survival: LiteralSurvival) -> str:
    return "none expected" if survival.recall is None else f"{survival.recall:.2%} of {survival.expected:,}"


def _lines(lines: Sequence[int] | None, faults: Faults) -> str:
    return "not known" if lines is None else f"{len(lines):,} ({len(lines) / faults.pairs:.2%})"
