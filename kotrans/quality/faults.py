"""Counted faults of translations: numbers and Latin words that got lost, loops, and outputs without a word.

A number or Latin word that stands in the source and, verbatim, in the reference too, is expected in the hypothesis, as
often as in the one of the two that has it less often. One that the reference spells otherwise ("3" as "three") is not.
"""

import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kotrans.text import normalize

# Words begin with a letter: "UTF-8" and "x86" are words, "3GB" is a number and a word.
_TOKEN = re.compile(
    r"(?P<word>_*[A-Za-z][A-Za-z0-9_]*(?:[.+-][A-Za-z0-9_]+)*)"
    r"|(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)*)"
)
_INNER = frozenset(string.ascii_letters + string.digits + "_")  # what goes on with a word
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ！ to ～ as ! to ~
_LONGEST_GROUP = 4  # words of a group that is looked for
_TIMES = 3  # in a row
# Of 242,361 pairs of real text (configs/open-ko-en.yaml), the reference of one has more characters than this.
_CHARACTERS_FOR_EACH, _CHARACTERS_MORE = 5, 40
_EXAMPLES = 50  # in JSON


@dataclass(frozen=True)
class Lost:
    """What a line was expected to have, and has not."""

    line: int
    """Counted from 1."""
    tokens: list[str]


@dataclass(frozen=True)
class Survival:
    """How many of the expected tokens are there."""

    expected: int
    found: int
    lost: list[Lost]

    @property
    def recall(self) -> float | None:
        """The share of them that is there; None if nothing was expected."""
        return self.found / self.expected if self.expected else None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the first of the lines that lost something."""
        lost = [{"line": each.line, "tokens": each.tokens} for each in self.lost[:_EXAMPLES]]
        return {"expected": self.expected, "found": self.found, "recall": self.recall, "lost": lost}


@dataclass(frozen=True)
class Faults:
    """The faults of a test set's translations; lines are counted from 1."""

    pairs: int
    numbers: Survival
    latin: Survival
    loops: list[int]
    """Lines that say a group of words three times in a row, or run on much longer than any translation does."""
    empty: list[int]
    """Lines without a word, of sources that have some."""
    unfinished: list[int] | None
    """Lines cut at the maximum length; None if that is not known."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the first of the lines of each fault."""
        lines = {"loops": self.loops, "empty": self.empty, "unfinished": self.unfinished}
        return {
            "numbers": self.numbers.as_dict(),
            "latin": self.latin.as_dict(),
            **{
                name: None if found is None
                else {"count": len(found), "rate": len(found) / self.pairs, "lines": found[:_EXAMPLES]}
                for name, found in lines.items()
            },
        }  # fmt: skip


def count_faults(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], unfinished: list[int] | None = None
) -> Faults:
    """Counts the faults of line-aligned texts; `unfinished` is what the search says of itself."""
    lines = list(enumerate(zip(sources, hypotheses, references, strict=True), start=1))
    return Faults(
        len(lines),
        _survival(lines, "number"),
        _survival(lines, "word"),
        loops=[number for number, line in lines if is_loop(*line)],
        empty=[number for number, (source, hypothesis, _) in lines if normalize(source) and not normalize(hypothesis)],
        unfinished=unfinished,
    )


def numbers(line: str) -> Counter[str]:
    """The numbers in digits, without thousands separators, full-width digits as others; "1,000.5" is "1000.5"."""
    return Counter(token.replace(",", "") for token in _tokens(line, "number"))


def latin_words(line: str) -> Counter[str]:
    """The words in ASCII letters: names, identifiers, code words such as `apt-get`, `__init__` and `os.path`."""
    return Counter(_tokens(line, "word"))


def is_loop(source: str, hypothesis: str, reference: str) -> bool:
    """Whether the hypothesis repeats a group of words that the reference does not, or is far too long for the source.

    Far too long is more than five times the characters of the source and 40 more.
    """
    if len(normalize(hypothesis)) > _CHARACTERS_FOR_EACH * len(normalize(source)) + _CHARACTERS_MORE:
        return True
    return repeats(hypothesis) and not repeats(reference)


def repeats(line: str) -> bool:
    """Whether a group of one to four words stands three times in a row; case and punctuation do not count."""
    words = [word for each in line.casefold().split() if (word := re.sub(r"^\W+|\W+$", "", each))]
    for size in range(1, _LONGEST_GROUP + 1):
        in_a_row = 0
        for left, right in zip(words, words[size:], strict=False):
            in_a_row = in_a_row + 1 if left == right else 0
            if in_a_row >= (_TIMES - 1) * size:
                return True
    return False


def _tokens(line: str, kind: str) -> Iterator[str]:
    for match in _TOKEN.finditer(line.translate(_FULL_WIDTH)):
        if match.lastgroup == kind:
            yield match[0]


def _survival(lines: Sequence[tuple[int, tuple[str, str, str]]], kind: str) -> Survival:
    expected = found = 0
    lost = []
    for number, (source, hypothesis, reference) in lines:
        wanted = _common(source, reference, kind)
        missing = wanted - _common(source, hypothesis, kind)
        expected += wanted.total()
        found += wanted.total() - missing.total()
        if missing:
            lost.append(Lost(number, sorted(missing.elements())))
    return Survival(expected, found, lost)


def _common(source: str, text: str, kind: str) -> Counter[str]:
    """The tokens of the source that stand in a text, each as often as in the one of them that has it less often.

    A word may be part of a hyphened one there: "KDE-based" has the word "KDE".
    """
    if kind == "number":
        return numbers(source) & numbers(text)
    text = text.translate(_FULL_WIDTH)
    return Counter(
        {word: min(times, found) for word, times in latin_words(source).items() if (found := _times(word, text))}
    )


def _times(word: str, text: str) -> int:
    """How often a word stands in a text with no letter, digit or underscore right before or after it."""
    count, begin = 0, text.find(word)
    while begin >= 0:
        end = begin + len(word)
        stands_alone = _INNER.isdisjoint((text[begin - 1 : begin], text[end : end + 1]))
        count += stands_alone
        begin = text.find(word, end if stands_alone else begin + 1)
    return count
