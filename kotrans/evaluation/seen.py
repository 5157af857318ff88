"""Which pairs of a test set a model may have seen: those that also stand in its training text."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from kotrans.data.cleaning import is_long_enough, sentence_key
from kotrans.text.normalization import normalize


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
