"""How rare the words of a reference are in the training text."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kotrans.evaluation.metrics import Bucket, by_number

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # letters, and apostrophes between them
WORDS = 1  # what a word is: raise it when that changes, so that words are counted again
_EDGES = (0, 4, 19, 99, 999)


def word_counts(lines: Iterable[str]) -> Counter[str]:
    """How often each word occurs; capitals count as small letters, and numbers are no words."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(_words(line))
    return counts


def by_rarest_word(hypotheses: Sequence[str], references: Sequence[str], counts: Mapping[str, int]) -> list[Bucket]:
    """Scores by how often the training text has the word of the reference that it has least often.

    References without a word are left out.
    """
    rarest = [min((counts.get(word, 0) for word in _words(line)), default=None) for line in references]
    kept = [i for i, number in enumerate(rarest) if number is not None]
    if not kept:
        return []
    return by_number(
        [number for number in rarest if number is not None],
        [hypotheses[i] for i in kept], [references[i] for i in kept], _EDGES,
    )  # fmt: skip


def _words(line: str) -> list[str]:
    return _WORD.findall(line.lower())
