"""Counts faults of translations: lost literals, loops, empty output, and output cut at the maximum length.

Literals are counted against the reference: a literal of the source is *expected* if the reference has it too, as many
times as both have it, and *found* if the hypothesis has it, each occurrence counted once. Literals that the reference
translates, drops or writes otherwise are not expected.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kotrans.text.literals import Kind, Literals, Token, kept_flags
from kotrans.text.normalization import normalize

_LONGEST_GROUP = 4  # words
_REPETITIONS = 3
# Far more than references of real text have.
_CHARACTERS_PER_SOURCE_CHARACTER, _MORE_CHARACTERS = 5, 40
_EXAMPLES = 50  # lines per fault in JSON


@dataclass(frozen=True)
class LostLiterals:
    """Literals of one line that are expected and not found."""

    line: int
    """From 1."""
    tokens: list[str]
    """As the source writes them, sorted."""


@dataclass(frozen=True)
class LiteralSurvival:
    """How many expected literals of one kind are found, summed over all lines."""

    expected: int
    found: int
    lost: list[LostLiterals]
    """Lines with at least one lost literal."""

    @property
    def recall(self) -> float | None:
        """found / expected; None if nothing is expected."""
        return self.found / self.expected if self.expected else None

    def as_dict(self) -> dict[str, Any]:
        """Returns a JSON object with at most 50 of the lines that lost something."""
        lost = [{"line": each.line, "tokens": each.tokens} for each in self.lost[:_EXAMPLES]]
        return {"expected": self.expected, "found": self.found, "recall": self.recall, "lost": lost}


@dataclass(frozen=True)
class Faults:
    """The faults of the translations of a test set; lines are counted from 1."""

    pairs: int
    numbers: LiteralSurvival
    """Numbers in digits or words, Korean or English, compared by value: 3만 is found in "30,000" and "30 thousand".

    Months, times of day and ordinals are numbers: 9월 is found in "September". Numbers with several readings are equal
    if they share one: 3시 is found in "3 p.m.", "15:00" and "three" (see `text.quantities`). A 1 in words (한, "one")
    is never expected, and "a" is not a number.
    """
    latin: LiteralSurvival
    """Words in Latin letters, compared as written, including case.

    No letter, digit or underscore may adjoin the word in the hypothesis, except digits before it ("10KB" has KB) and an
    "s" or "es" of the plural. It may be part of a hyphenated word; "()" after a name of a function is ignored.
    """
    opaque: LiteralSurvival
    """Placeholders (%s, {name}), URLs, e-mail addresses, telephone numbers, ids and code in backticks, compared whole.

    "$1" is also found in "1 dollar".
    """
    loops: list[int]
    """Lines whose hypothesis is a loop, see `is_loop`."""
    empty: list[int]
    """Lines whose hypothesis is blank after normalisation while the source is not."""
    unfinished: list[int] | None
    """Lines whose best hypothesis was cut at the maximum length; None if the translations come from a file."""

    def as_dict(self) -> dict[str, Any]:
        """Returns a JSON object with at most 50 of the lines of each fault. rate: lines with the fault / all lines."""
        lines = {"loops": self.loops, "empty": self.empty, "unfinished": self.unfinished}
        return {
            "numbers": self.numbers.as_dict(),
            "latin": self.latin.as_dict(),
            "opaque": self.opaque.as_dict(),
            **{
                name: None if found is None
                else {"count": len(found), "rate": len(found) / self.pairs, "lines": found[:_EXAMPLES]}
                for name, found in lines.items()
            },
        }  # fmt: skip


def count_faults(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], unfinished: list[int] | None = None
) -> Faults:
    """Counts the faults of line-aligned texts. unfinished: lines that the search cut at the maximum length, from 1."""
    lines = list(enumerate(zip(sources, hypotheses, references, strict=True), start=1))
    literals = [
        (number, Literals(source), Literals(hypothesis), Literals(reference))
        for number, (source, hypothesis, reference) in lines
    ]
    return Faults(
        len(lines),
        numbers=_survival(literals, "number"),
        latin=_survival(literals, "word"),
        opaque=_survival(literals, "opaque"),
        loops=[number for number, line in lines if is_loop(*line)],
        empty=[number for number, (source, hypothesis, _) in lines if normalize(source) and not normalize(hypothesis)],
        unfinished=unfinished,
    )


def is_loop(source: str, hypothesis: str, reference: str) -> bool:
    """Whether the hypothesis repeats a group of words and the reference does not, or is far too long for the source.

    Repeats: see `repeats`. Far too long: more characters than 40 plus 5 per character of the source.
    """
    most = _CHARACTERS_PER_SOURCE_CHARACTER * len(normalize(source)) + _MORE_CHARACTERS
    return len(normalize(hypothesis)) > most or (repeats(hypothesis) and not repeats(reference))


def repeats(line: str) -> bool:
    """Whether a group of one to four words occurs three times in a row.

    Words are separated by white space; case and punctuation around words are ignored, as are words of punctuation only.
    """
    words = [word for each in line.casefold().split() if (word := re.sub(r"^\W+|\W+$", "", each))]
    for size in range(1, _LONGEST_GROUP + 1):
        in_a_row = 0
        for left, right in zip(words, words[size:], strict=False):
            in_a_row = in_a_row + 1 if left == right else 0
            if in_a_row >= (_REPETITIONS - 1) * size:
                return True
    return False


def _survival(lines: Sequence[tuple[int, Literals, Literals, Literals]], kind: Kind) -> LiteralSurvival:
    n_expected = n_found = 0
    lost = []
    for number, source, hypothesis, reference in lines:
        countable = [token for token in source.of(kind) if _is_countable(token)]
        expected = [token for token, in_reference in _with_presence(countable, reference) if in_reference]
        missing = [token.key for token, found in _with_presence(expected, hypothesis) if not found]
        n_expected += len(expected)
        n_found += len(expected) - len(missing)
        if missing:
            lost.append(LostLiterals(number, sorted(missing)))
    return LiteralSurvival(n_expected, n_found, lost)


def _is_countable(token: Token) -> bool:
    """Excludes a 1 in words, which occurs in every text: 한, "one"."""
    return token.firm or token.kind == "word" or (token.quantity is not None and 1 not in token.quantity.readings)


def _with_presence(tokens: Sequence[Token], text: Literals) -> Iterator[tuple[Token, bool]]:
    return zip(tokens, kept_flags(tokens, text, articles=False), strict=True)
