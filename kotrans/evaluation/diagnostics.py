"""Diagnostics of a test set: sentences with their scores, scores by rare words, and pairs seen in training."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kotrans.data.cleaning import is_long_enough, sentence_key
from kotrans.evaluation.metrics import Bucket, by_number
from kotrans.text.normalization import normalize
from kotrans.text.word_counts import words

_FREQUENCY_EDGES = (0, 4, 19, 99, 999)


@dataclass(frozen=True)
class ScoredPair:
    """A sentence with the translation of each system and its chrF."""

    line: int
    """From 1."""
    chrf: list[float]
    source: str | None
    hypotheses: list[str]
    reference: str


def scored_pairs(
    indices: Sequence[int],
    chrf: Sequence[Sequence[float]],
    sources: Sequence[str] | None,
    systems: Sequence[Sequence[str]],
    references: Sequence[str],
) -> list[ScoredPair]:
    """Returns the sentences of these indices. chrf, systems: for each system, a list over all sentences."""
    return [
        ScoredPair(
            i + 1, [of_system[i] for of_system in chrf], sources[i] if sources is not None else None,
            [hypotheses[i] for hypotheses in systems], references[i],
        )
        for i in indices
    ]  # fmt: skip


def by_rarest_word(hypotheses: Sequence[str], references: Sequence[str], counts: Mapping[str, int]) -> list[Bucket]:
    """Returns scores bucketed by the training frequency of the rarest word of each reference.

    counts: frequency of each word in the training text. References without a word are left out.
    """
    frequencies = {
        i: min(counts.get(word, 0) for word in of_line) for i, line in enumerate(references) if (of_line := words(line))
    }
    if not frequencies:
        return []
    rows = list(frequencies)
    return by_number(
        list(frequencies.values()), [hypotheses[i] for i in rows], [references[i] for i in rows], _FREQUENCY_EDGES
    )


def seen_pairs(sources: Sequence[str], references: Sequence[str], training: Iterable[tuple[str, str]]) -> list[int]:
    """Returns the indices of the pairs that the training text has, or has one side of if it has four or more words.

    This is the rule by which `data.cleaning` drops held-out pairs from the training text. training: normalised pairs.
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
