"""Word counts of a text."""

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # letters, with apostrophes between them
DEFINITION = 1
"""Version of `words`. Increase it when the definition of a word changes, so that stored counts are recomputed."""


def words(line: str) -> list[str]:
    """Returns the words of a line in lower case, without numbers."""
    return _WORD.findall(line.lower())


def word_counts(lines: Iterable[str]) -> Counter[str]:
    """Returns the number of occurrences of each word in the lines."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(words(line))
    return counts
