"""The sentences to look at: the worst and the best translations, and those that two systems differ most in.

Scores by the training frequency of the rarest word of the reference.

Which pairs of a test set a model may have seen: those that also stand in its training text.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kotrans.data.cleaning import is_long_enough, sentence_key
from kotrans.evaluation.metrics import Bucket, by_number
from kotrans.text.normalization import normalize
from kotrans.text.word_counts import words


@dataclass(frozen=True)
class ScoredPair:
    """A sentence with its translations, one of each system, and the chrF of each."""

    line: int
    """Counted from 1."""
    chrf: list[float]
    source: str | None
    hypotheses: list[str]
    reference: str

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def judged(
    lines: Sequence[int],
    chrf: Sequence[Sequence[float]],
    sources: Sequence[str] | None,
    systems: Sequence[Sequence[str]],
    references: Sequence[str],
) -> list[ScoredPair]:
    """The sentences of these indices; `chrf` and `systems` have a list of all sentences for each system."""
    return [
        ScoredPair(
            i + 1, [of_system[i] for of_system in chrf], sources[i] if sources is not None else None,
            [hypotheses[i] for hypotheses in systems], references[i],
        )
        for i in lines
    ]  # fmt: skip


def lowest(values: Sequence[float], most: int) -> list[int]:
    """The indices of the lowest values, the lowest first, of equal ones the first."""
    return sorted(range(len(values)), key=lambda i: (values[i], i))[:most]


def highest(values: Sequence[float], most: int) -> list[int]:
    """The indices of the highest values, the highest first, of equal ones the first."""
    return lowest([-value for value in values], most)


_EDGES = (0, 4, 19, 99, 999)


def by_rarest_word(hypotheses: Sequence[str], references: Sequence[str], counts: Mapping[str, int]) -> list[Bucket]:
    """Returns scores bucketed by the training frequency of the rarest word of each reference.

    References without a word are left out.
    """
    rarest = [min((counts.get(word, 0) for word in words(line)), default=None) for line in references]
    kept = [i for i, number in enumerate(rarest) if number is not None]
    if not kept:
        return []
    return by_number(
        [number for number in rarest if number is not None],
        [hypotheses[i] for i in kept], [references[i] for i in kept], _EDGES,
    )  # fmt: skip


def seen_pairs(sources: Sequence[str], references: Sequence[str], training: Iterable[tuple[str, str]]) -> list[int]:
    """Indices of the pairs that are in the normalised training text, or have a side of four or more words that is.

    It is the rule by which `cleaning.contamination` drops training pairs.
    """
    sentences, pairs = defaultdict[str, list[int]](list), defaultdict[tuple[str, str], list[int]](list)
    for number, sides in enumerate(zip(sources, references, strict=True)):
        source, target = (sentence_key(normalize(side)) for side in sides)
        pairs[source, target].append(number)
        for side in filter(is_long_enough, (source, target)):
            sentences[side].append(number)
    seen: set[int] = set()
    for sides in training:
        source, target = map(sentence_key, sides)
        for found in (sentences.get(source), sentences.get(target), pairs.get((source, target))):
            seen.update(found or ())
    return sorted(seen)
