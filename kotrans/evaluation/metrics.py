"""Translations against references: scores by sacrebleu (Post 2018), of the corpus, of groups of it, of sentences."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from kotrans.errors import DataError

logger = logging.getLogger(__name__)
_EDGES = (5, 10, 15, 20, 30, 40, 60)
# TER searches for shifts of word blocks: two unrelated lines of 200 words take a few seconds, of 1,250 half a minute.
_SLOW_WORDS = 200


@dataclass(frozen=True)
class Scores:
    """Corpus scores from 0 to 100 (TER may exceed it, and less is better), each with its sacrebleu signature."""

    pairs: int
    bleu: float
    chrf: float
    ter: float
    signatures: dict[str, str]
    """By the names above: a score without its signature cannot be compared."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Bucket:
    """Some of the pairs, such as those of one corpus or of sources of like length, and their BLEU and chrF."""

    label: str
    pairs: int
    bleu: float
    chrf: float

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def score(
    hypotheses: Sequence[str], references: Sequence[str], names: tuple[str, str] = ("hypotheses", "references")
) -> Scores:
    """BLEU, chrF and TER of the corpus with sacrebleu's defaults: case counts in BLEU and chrF, 13a tokenization.

    `names` is what messages call the two. Raises DataError if their numbers of lines differ or are 0.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    check_lines(hypotheses, references, names)
    _warn_of_slow_lines(hypotheses, references)
    metrics = {"bleu": BLEU(), "chrf": CHRF(), "ter": TER()}
    values = {name: metric.corpus_score(hypotheses, [references]).score for name, metric in metrics.items()}
    signatures = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    return Scores(pairs=len(references), signatures=signatures, **values)


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The BLEU of `score` alone, which is the fastest of the three. Raises DataError as `score` does."""
    from sacrebleu.metrics.bleu import BLEU

    check_lines(hypotheses, references, ("hypotheses", "references"))
    return float(BLEU().corpus_score(hypotheses, [references]).score)


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """The chrF of each pair by itself, from 0 to 100. Raises DataError as `score` does."""
    from sacrebleu.metrics.chrf import CHRF

    check_lines(hypotheses, references, ("hypotheses", "references"))
    metric = CHRF()
    return [
        float(metric.sentence_score(hypothesis, [reference]).score)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]


def by_length(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], edges: Sequence[int] = _EDGES
) -> list[Bucket]:
    """Scores for short to long sources, in words. Raises DataError if the numbers of lines differ or are 0."""
    check_lines(sources, references, ("sources", "references"))
    return by_number([len(source.split()) for source in sources], hypotheses, references, edges)


def by_number(
    numbers: Sequence[int], hypotheses: Sequence[str], references: Sequence[str], edges: Sequence[int]
) -> list[Bucket]:
    """Scores by a number that each pair has: a bucket up to each edge and one beyond the last, empty ones left out.

    Raises DataError if the numbers of lines differ or are 0.
    """
    labels = _labels(edges)
    of_pairs = [labels[sum(number > edge for edge in edges)] for number in numbers]
    buckets = by_label(of_pairs, hypotheses, references)
    return sorted(buckets, key=lambda bucket: labels.index(bucket.label))


def by_label(labels: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> list[Bucket]:
    """Scores of the pairs of each label, in the order in which labels first occur.

    Raises DataError if the numbers of lines differ or are 0.
    """
    from sacrebleu.metrics.chrf import CHRF

    check_lines(hypotheses, references, ("hypotheses", "references"))
    check_lines(labels, references, ("labels", "references"))
    members: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    buckets = []
    for label, chosen in members.items():
        ours, theirs = [hypotheses[i] for i in chosen], [references[i] for i in chosen]
        chrf = float(CHRF().corpus_score(ours, [theirs]).score)
        buckets.append(Bucket(label, len(chosen), bleu(ours, theirs), chrf))
    return buckets


def _labels(edges: Sequence[int]) -> list[str]:
    between = [f"{low + 1}-{high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}" if edges[0] else "0", *between, f"over {edges[-1]}"]


def check_lines(
    left: Sequence[str], right: Sequence[str], names: tuple[str, str],
    why: str = "line N of one must belong to line N of the other",
) -> None:  # fmt: skip
    """Raises DataError if the numbers of lines differ or are 0; `names` is what messages call the two."""
    if len(left) != len(right):
        raise DataError(f"{names[0]}: has {len(left)} lines but {names[1]} has {len(right)}; {why}")
    if not right:
        raise DataError(f"{names[1]}: has no lines to score against; give at least one")


def _warn_of_slow_lines(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    for number, pair in enumerate(zip(hypotheses, references, strict=True), start=1):
        if (words := min(len(side.split()) for side in pair)) > _SLOW_WORDS:
            logger.warning("line %d has %d words: TER takes long for such a line", number, words)
