"""Scores by the training frequency of the rarest word of the reference."""

from collections.abc import Mapping, Sequence

from kotrans.evaluation.metrics import Bucket, by_number
from kotrans.text.word_counts import words

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
