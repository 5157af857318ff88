"""Tables for people: plain text, columns aligned by what a terminal shows."""

import unicodedata
from collections.abc import Mapping, Sequence

from kotrans.data.corpora import Listing
from kotrans.data.prepare_corpus import CorpusManifest
from kotrans.evaluation.metrics import Bucket
from kotrans.runs.run import Run


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns two spaces apart; the first `left` are flush left, the others right."""
    lines = [header, *rows]
    widths = [max(shown_width(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            _fill(cell, width, i < left) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def shown_width(text: str) -> int:
    """Columns that a terminal gives the text: Hangul takes two each."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _fill(text: str, width: int, left: bool) -> str:
    space = " " * (width - shown_width(text))
    return text + space if left else space + text


def runs_table(runs: Sequence[Run]) -> str:
    """`kotrans runs`."""
    rows = []
    for run in runs:
        record = run.record()
        bleu = "-" if record.best_bleu is None else f"{record.best_bleu:.2f}"
        size = f"{run.size / 1e6:,.0f} MB"
        rows.append([run.name, record.config, record.status, f"{record.updates:,}", bleu, size, record.changed[:16]])
    return table(["run", "config", "status", "updates", "dev BLEU", "size", "changed (UTC)"], rows, left=3)


def corpora_table(listings: Sequence[Listing]) -> str:
    """`kotrans corpora`."""
    rows = []
    for listing in listings:
        entry = listing.entry
        pairs = ", ".join(f"{split} {count:,}" for split, count in listing.pairs.items()) or "-"
        state = "embedded" if entry.bundled else "present" if listing.present else "not fetched"
        rows.append([entry.name, pairs, entry.licence, state, entry.title])
    return table(["corpus", "pairs", "licence", "here", "title"], rows, left=5)


def cleaning_table(manifest: CorpusManifest) -> str:
    """What became of the training pairs, by corpus and reason."""
    names = [report.name for report in manifest.corpora]
    rows = [
        ["read", *(f"{report.read:,}" for report in manifest.corpora)],
        *_counted("malformed", [report.malformed for report in manifest.corpora]),
        *_counted("not used", [report.unused for report in manifest.corpora]),
        *([f"dropped: {reason}", *(f"{report.dropped[reason]:,}" for report in manifest.corpora)]
          for reason in manifest.dropped),
        ["kept", *(f"{report.kept:,}" for report in manifest.corpora)],
        *([f"lines normalised: {what}", *(f"{report.normalised[what]:,}" for report in manifest.corpora)]
          for what in manifest.normalised),
    ]  # fmt: skip
    return table(["training pairs", *names], rows)


def files_table(manifest: CorpusManifest) -> str:
    """Pairs read from each file of the splits that have several; empty if none has."""
    rows = [
        [report.name, split, file, f"{pairs:,}"]
        for report in manifest.corpora
        for split, files in report.files.items()
        if len(files) > 1
        for file, pairs in files.items()
    ]
    return table(["corpus", "split", "file", "pairs read"], rows, left=3) if rows else ""


def cleaning_examples(manifest: CorpusManifest) -> str:
    """The first records that were malformed or dropped, by corpus and reason; "" if there are none."""
    return "\n".join(
        f"{report.name}, {'malformed' if reason in report.malformed else 'dropped'}: {reason}\n"
        + "\n".join(f"    {example}" for example in examples)
        for report in manifest.corpora
        for reason, examples in report.examples.items()
    )


def _counted(what: str, counts: Sequence[Mapping[str, int]]) -> list[list[str]]:
    """A row for each reason that applied in any corpus."""
    reasons = dict.fromkeys(reason for count in counts for reason in count)
    return [[f"{what}: {reason}", *(f"{count.get(reason, 0):,}" for count in counts)] for reason in reasons]


def buckets_table(what: str, buckets: Sequence[Bucket]) -> str:
    """BLEU and chrF by what the pairs have in common."""
    rows = [[bucket.label, f"{bucket.pairs:,}", f"{bucket.bleu:.2f}", f"{bucket.chrf:.2f}"] for bucket in buckets]
    return table([what, "pairs", "BLEU", "chrF"], rows)
