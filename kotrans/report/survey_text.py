"""The survey of training text as plain text, for `kotrans clean --samples`."""

from collections.abc import Iterator, Sequence

from kotrans.data.survey import RATIOS, WORDS, Survey
from kotrans.report.text_table import table

_BAR = 30  # characters of the largest group


def survey_text(surveys: Sequence[Survey]) -> str:
    """Returns samples of dropped pairs, groups of lengths and ratios, and overlaps of the corpora."""
    return "\n\n".join(part for each in surveys for part in _parts(each))


def _parts(survey: Survey) -> Iterator[str]:
    for reason, pairs in survey.samples.items():
        shown = "\n".join(f"    {source}\n    → {target}" for source, target in pairs)
        yield f"{survey.name}, dropped: {reason}\n{shown}" if pairs else f"{survey.name}, dropped: {reason}"
    words = [f"{low + 1}–{high}" for low, high in zip((0, *WORDS), WORDS, strict=False)]
    yield _histogram(f"{survey.name}: English words", [*words, f"over {WORDS[-1]}"], survey.words)
    ratios = [f"up to {end:g}" for end in RATIOS]
    yield _histogram(f"{survey.name}: length ratio", [*ratios, f"over {RATIOS[-1]:g}"], survey.ratios)
    if survey.overlaps:
        rows = [[name, f"{count:,}"] for name, count in survey.overlaps.items()]
        yield table([f"{survey.name}: a side is also in", "pairs"], rows)


def _histogram(title: str, groups: Sequence[str], counts: dict[int, int]) -> str:
    largest = max(counts.values(), default=0) or 1
    rows = []
    for i, group in enumerate(groups):
        count = counts.get(i, 0)
        rows.append([group, f"{count:,}", "█" * round(_BAR * count / largest)])
    lines = table([title, "pairs"], [row[:2] for row in rows]).split("\n")
    return "\n".join([lines[0], *(f"{line}  {row[2]}".rstrip() for line, row in zip(lines[1:], rows, strict=True))])
