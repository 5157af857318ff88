"""Plain-text tables for a terminal, in which Hangul takes two columns: runs, corpora, cleaning, scores and faults."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import yaml

from kotrans.data.corpora import Listing
from kotrans.data.prepare_corpus import CorpusManifest
from kotrans.evaluation.base_comparison import BaseComparison
from kotrans.evaluation.diagnostics import ScoredPair
from kotrans.evaluation.faults import Faults, LiteralSurvival
from kotrans.evaluation.metrics import Bucket
from kotrans.evaluation.significance import Interval, PairedTest
from kotrans.runs.run import Run

_HOLDOUT = {"dev": 1000, "test": 1000}  # proposed for a corpus without dev
_MAX_FILES = 20  # shown of one split
_SIGNIFICANT = 0.05  # p-values below are marked


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Returns columns two spaces apart; the first `left` are aligned left, the others right."""
    lines = [header, *rows]
    widths = [max(shown_width(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            _fill(cell, width, i < left) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def shown_width(text: str) -> int:
    """Returns the number of terminal columns of a text; a Hangul syllable takes two."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _fill(text: str, width: int, left: bool) -> str:
    space = " " * (width - shown_width(text))
    return text + space if left else space + text


def runs_table(runs: Sequence[Run]) -> str:
    """Returns the table of `kotrans runs`."""
    rows = []
    for run in runs:
        record = run.record()
        bleu = "-" if record.best_bleu is None else f"{record.best_bleu:.2f}"
        size = f"{run.size / 1e6:,.0f} MB"
        rows.append([run.name, record.config, record.status, f"{record.updates:,}", bleu, size, record.changed[:16]])
    return table(["run", "config", "status", "updates", "dev BLEU", "size", "changed (UTC)"], rows, left=3)


def corpora_table(listings: Sequence[Listing]) -> str:
    """Returns the table of `kotrans corpora`."""
    rows = [
        [listing.entry.name, _pairs(listing) or "-", listing.entry.licence, _state(listing), listing.entry.title]
        for listing in listings
    ]
    return table(["corpus", "pairs", "licence", "here", "title"], rows, left=5)


def corpus_details(listing: Listing) -> str:
    """Returns all that is known about a corpus, and the lines of a config that name it."""
    entry = listing.entry
    described = {
        "title": entry.title,
        "description": entry.description,
        "pairs": _pairs(listing),
        "to fetch": f"{entry.size / 1e6:,.1f} MB" if entry.size else "",
        "licence": entry.licence,
        "remark": entry.remark,
        "homepage": entry.homepage,
        "here": _state(listing),
        "folder": str(listing.folder) if listing.present else "",
    }
    holdout = {} if "dev" in (*entry.splits, *entry.holdout) or "train" not in entry.splits else _HOLDOUT
    corpus = {"name": entry.name, **({"holdout": holdout} if holdout else {})}
    yaml_lines = yaml.safe_dump({"corpora": [corpus]}, sort_keys=False, allow_unicode=True)
    lines = (f"    {name + ':':<13}{value}" for name, value in described.items() if value)
    return "\n".join([entry.name, *lines, "", yaml_lines.rstrip()])


def _pairs(listing: Listing) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in listing.pairs.items())


def _state(listing: Listing) -> str:
    return "embedded" if listing.entry.bundled else "present" if listing.present else "not fetched"


def cleaning_table(manifest: CorpusManifest) -> str:
    """Returns the numbers of training pairs read, dropped, by reason, and kept, for each corpus."""
    names = [report.name for report in manifest.corpora]
    rows = [
        ["read", *(f"{report.read:,}" for report in manifest.corpora)],
        *_counted("malformed", [report.malformed for report in manifest.corpora]),
        *_counted("not used", [report.unused for report in manifest.corpora]),
        *_counted("paragraphs", [report.paragraphs for report in manifest.corpora]),
        *([f"dropped: {reason}", *(f"{report.dropped[reason]:,}" for report in manifest.corpora)]
          for reason in manifest.dropped),
        ["kept", *(f"{report.kept:,}" for report in manifest.corpora)],
        *([f"lines normalised: {what}", *(f"{report.normalised[what]:,}" for report in manifest.corpora)]
          for what in manifest.normalised),
    ]  # fmt: skip
    return table(["training pairs", *names], rows)


def files_table(manifest: CorpusManifest) -> str:
    """Returns the numbers of pairs read from each file of splits with several files; "" if there are none."""
    rows = [
        [report.name, split, *row]
        for report in manifest.corpora
        for split, files in report.files.items()
        if len(files) > 1
        for row in _files_rows(files)
    ]
    return table(["corpus", "split", "file", "pairs read"], rows, left=3) if rows else ""


def _files_rows(files: Mapping[str, int]) -> list[list[str]]:
    """Returns file and pairs of the first files, and the sum of the rest."""
    rows = [[file, f"{pairs:,}"] for file, pairs in files.items()]
    if len(rows) <= _MAX_FILES:
        return rows
    rest = list(files.values())[_MAX_FILES:]
    return [*rows[:_MAX_FILES], [f"{len(rest):,} more files", f"{sum(rest):,}"]]


def cleaning_examples(manifest: CorpusManifest) -> str:
    """Returns examples of malformed and dropped records, by corpus and reason; "" if there are none."""
    return "\n".join(
        f"{report.name}, {'malformed' if reason in report.malformed else 'dropped'}: {reason}\n"
        + "\n".join(f"    {example}" for example in examples)
        for report in manifest.corpora
        for reason, examples in report.examples.items()
    )


def _counted(what: str, counts: Sequence[Mapping[str, int]]) -> list[list[str]]:
    """Returns a row for each reason that any corpus has."""
    reasons = dict.fromkeys(reason for count in counts for reason in count)
    return [[f"{what}: {reason}", *(f"{count.get(reason, 0):,}" for count in counts)] for reason in reasons]


def buckets_table(what: str, buckets: Sequence[Bucket]) -> str:
    """Returns BLEU and chrF of groups of pairs. what: what they are grouped by."""
    rows = [[bucket.label, f"{bucket.pairs:,}", f"{bucket.bleu:.2f}", f"{bucket.chrf:.2f}"] for bucket in buckets]
    return table([what, "pairs", "BLEU", "chrF"], rows)


def faults_table(names: Sequence[str], faults: Sequence[Faults]) -> str:
    """Returns the faults, with a column for each system."""
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


def base_table(compared: Sequence[BaseComparison]) -> str:
    """Returns BLEU before and after a training that started from another model."""
    rows = [
        [each.name, f"{each.pairs:,}", f"{each.before:.2f}", f"{each.after:.2f}", f"{each.after - each.before:+.2f}"]
        for each in compared
    ]
    return table(["test set", "pairs", "BLEU before", "after", "difference"], rows)


def comparison_table(names: Sequence[str], metrics: Sequence[PairedTest]) -> str:
    """Returns scores with their 95 % intervals, the difference, and its p-value, with a column for each metric."""
    rows = [
        *([name, *(_interval(metric.systems[i]) for metric in metrics)] for i, name in enumerate(names)),
        ["difference", *(f"{metric.difference:+.2f}" for metric in metrics)],
        ["p-value", *(f"{metric.p_value:.4f}{'*' if metric.p_value < _SIGNIFICANT else ''}" for metric in metrics)],
    ]
    return table(["", *(metric.metric for metric in metrics)], rows)


def sentences_text(sentences: Sequence[ScoredPair], names: Sequence[str] = ()) -> str:
    """Returns sentences with line number, chrF of each system, source, translations and reference."""
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
    return "unknown" if lines is None else f"{len(lines):,} ({len(lines) / faults.pairs:.2%})"
