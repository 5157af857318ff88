"""Counted faults of translations: numbers, Latin words and placeholders that got lost, loops, outputs without a word.

A number of the source that the reference has, too, by its value, is expected in the hypothesis: as often as in the one
of the two that has it less often, and however it is written. So is a Latin word, placeholder, address or piece of code,
as it is written. What the reference does not have is not expected.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kotrans.text.literals import Kind, Literals, Token, kept
from kotrans.text.normalization import normalize

_LONGEST_GROUP = 4  # words of a group that is looked for
_TIMES = 3  # in a row
# Of 242,361 pairs of real text (configs/open-ko-en.yaml), the reference of one has more characters than this.
_CHARACTERS_FOR_EACH, _CHARACTERS_MORE = 5, 40
_EXAMPLES = 50  # in JSON


@dataclass(frozen=True)
class LostLiterals:
    """What a line was expected to have, and has not."""

    line: int
    """Counted from 1."""
    tokens: list[str]


@dataclass(frozen=True)
class LiteralSurvival:
    """How many of the expected tokens are there."""

    expected: int
    found: int
    lost: list[LostLiterals]

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
    numbers: LiteralSurvival
    latin: LiteralSurvival
    opaque: LiteralSurvival
    """Placeholders, URLs, e-mail addresses, telephone numbers, ids and code."""
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
    """Counts the faults of line-aligned texts; `unfinished` is what the search says of itself."""
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


def _survival(lines: Sequence[tuple[int, Literals, Literals, Literals]], kind: Kind) -> LiteralSurvival:
    expected = found = 0
    lost = []
    for number, source, hypothesis, reference in lines:
        wanted = _in_both([token for token in source.of(kind) if _counts(token)], reference)
        missing = [token.key for token, has in _which(wanted, hypothesis) if not has]
        expected += len(wanted)
        found += len(wanted) - len(missing)
        if missing:
            lost.append(LostLiterals(number, sorted(missing)))
    return LiteralSurvival(expected, found, lost)


def _counts(token: Token) -> bool:
    """Not 1 in words, which is in every text: 한, "one"."""
    return token.firm or token.kind == "word" or (token.quantity is not None and 1 not in token.quantity.readings)


def _in_both(wanted: Sequence[Token], reference: Literals) -> list[Token]:
    return [token for token, has in _which(wanted, reference) if has]


def _which(wanted: Sequence[Token], text: Literals) -> Iterator[tuple[Token, bool]]:
    return zip(wanted, kept(wanted, text, articles=False), strict=True)
