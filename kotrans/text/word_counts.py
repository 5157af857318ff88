"""How often each word occurs in a text."""

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # letters, and apostrophes between them
DEFINITION = 1  # version of `words`: raise it when that changes, so that words are counted again


def words(line: str) -> list[str]:
    """Returns the words of a line in lower case; numbers are no words."""
    return _WORD.findall(line.lower())


def word_counts(lines: Iterable[str]) -> Counter[str]:
    """Returns how often each word occurs in the lines."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(words(line))
    return counts
