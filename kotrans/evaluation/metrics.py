"""BLEU, chrF and TER with sacrebleu (Post 2018), for a corpus, for groups of its pairs, and for single sentences."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kotrans.errors import DataError

logger = logging.getLogger(__name__)
_LENGTH_EDGES = (5, 10, 15, 20, 30, 40, 60)
_SLOW_WORDS = 200  # TER searches for shifts of word blocks, which takes seconds for unrelated lines of this length


@dataclass(frozen=True)
class Scores:
    """Corpus scores. BLEU and chrF are from 0 to 100; TER is 0 for a perfect translation and can exceed 100."""

    pairs: int
    bleu: float
    chrf: float
    ter: float
    signatures: dict[str, str]
    """sacrebleu's signature of each score; scores with different signatures are not comparable."""


@dataclass(frozen=True)
class Bucket:
    """BLEU and chrF of a group of pairs."""

    label: str
    pairs: int
    bleu: float
    chrf: float


def score(
    hypotheses: Sequence[str], references: Sequence[str], names: tuple[str, str] = ("hypotheses", "references")
) -> Scores:
    """Computes BLEU, chrF and TER of the corpus with sacrebleu's defaults (13a tokenization; TER ignores case).

    names: of hypotheses and references in messages. Raises DataError if their numbers of lines differ or are 0.
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
    """Computes the BLEU of `score` only. Raises DataError as `score` does."""
    from sacrebleu.metrics.bleu import BLEU

    check_lines(hypotheses, references, ("hypotheses", "references"))
    return float(BLEU().corpus_score(hypotheses, [references]).score)


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """Computes the chrF of each pair, from 0 to 100. Raises DataError as `score` does."""
    from sacrebleu.metrics.chrf import CHRF

    check_lines(hypotheses, references, ("hypotheses", "references"))
    metric = CHRF()
    return [
        float(metric.sentence_score(hypothesis, [reference]).score)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]


def by_length(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], edges: Sequence[int] = _LENGTH_EDGES
) -> list[Bucket]:
    """Returns scores bucketed by the number of words of the source. Raises DataError as `score` does."""
    check_lines(sources, references, ("sources", "references"))
    return by_number([len(source.split()) for source in sources], hypotheses, references, edges)


def by_number(
    numbers: Sequence[int], hypotheses: Sequence[str], references: Sequence[str], edges: Sequence[int]
) -> list[Bucket]:
    """Returns scores bucketed by a number of each pair: up to and including each edge, and above the last one.

    Empty buckets are left out. Raises DataError as `score` does.
    """
    between = [f"{low + 1}-{high}" for low, high in pairwise(edges)]
    labels = [f"up to {edges[0]}" if edges[0] else "0", *between, f"over {edges[-1]}"]
    of_pairs = [labels[sum(number > edge for edge in edges)] for number in numbers]
    buckets = by_label(of_pairs, hypotheses, references)
    return sorted(buckets, key=lambda bucket: labels.index(bucket.label))


def by_label(labels: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> list[Bucket]:
    """Returns scores of the pairs of each label, in order of first occurrence. Raises DataError as `score` does."""
    from sacrebleu.metrics.chrf import CHRF

    check_lines(hypotheses, references, ("hypotheses", "references"))
    check_lines(labels, references, ("labels", "references"))
    members: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    buckets = []
    for label, indices in members.items():
        ours, theirs = [hypotheses[i] for i in indices], [references[i] for i in indices]
        chrf = float(CHRF().corpus_score(ours, [theirs]).score)
        buckets.append(Bucket(label, len(indices), bleu(ours, theirs), chrf))
    return buckets


def check_lines(
    left: Sequence[str], right: Sequence[str], names: tuple[str, str],
    why: str = "line N of one must belong to line N of the other",
) -> None:  # fmt: skip
    """Raises DataError if the numbers of lines differ or are 0. names: of the two in messages."""
    if len(left) != len(right):
        raise DataError(f"{names[0]}: has {len(left)} lines but {names[1]} has {len(right)}; {why}")
    if not right:
        raise DataError(f"{names[1]}: has no lines to score against; give at least one")


def _warn_of_slow_lines(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    for number, pair in enumerate(zip(hypotheses, references, strict=True), start=1):
        if (words := min(len(side.split()) for side in pair)) > _SLOW_WORDS:
            logger.warning("line %d has %d words: TER is slow for such a line", number, words)
