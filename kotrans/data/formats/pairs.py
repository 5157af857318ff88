"""What every format reader gives, and the rule that one side is one line.

Records of files that give no pair: counted by reason, with the first examples, and refused if they are too many.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Literal, NamedTuple, Self

from kotrans.config.sections import Fields
from kotrans.errors import DataError

_SURROGATES = re.compile("[\ud800-\udfff]")


Pair = tuple[str, str]
"""Korean and English; neither holds "\\n"."""


class Pairs(NamedTuple):
    """Korean and English, line N of one translating line N of the other."""

    source: list[str]
    target: list[str]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Self:
        """A stream of pairs, all in memory."""
        both = list(pairs)
        return cls([source for source, _ in both], [target for _, target in both])


def one_line_each(source: str, target: str) -> Pair:
    """A pair; a line break inside a side becomes a space, half a surrogate pair the sign for unknown."""
    return _one_line(source), _one_line(target)


def in_parts(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """The pairs, so many at a time."""
    pairs = iter(pairs)
    while part := list(islice(pairs, size)):
        yield part


def text_of(value: object) -> str | None:
    """A field's value as text; nothing is "", a number is written out, and anything else is None."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return str(value)
    return None


def no_such_fields(names: Sequence[str], found: Sequence[str], fields: Fields | None = None) -> str:
    """The problem that a file or record does not call its sides what `fields` says, and which `fields` to give."""
    shown = ", ".join(repr(name if len(name) <= 60 else f"{name[:60]}…") for name in found[:20]) or "nothing"
    source, target = (fields.source, fields.target) if fields else ("...", "...")
    return (
        f"there is no {' and no '.join(repr(name) for name in names)}, but {shown}; "
        f"say what the Korean and the English side are called: fields: {{source: {source}, target: {target}}}"
    )


def _one_line(text: str) -> str:
    if "\n" in text:
        text = text.replace("\r\n", " ").replace("\n", " ")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


Malformed = Literal["syntax", "columns", "fields", "not_text", "encoding", "too_long"]
"""Not valid in its format; a wrong number of cells; a field or side is missing; a value is no text; a line is not
UTF-8; larger than a reader takes."""
Unused = Literal["languages", "untranslated", "fuzzy", "obsolete"]
"""Valid, but no pair: a TMX unit without both languages, a PO message without a translation or with an unsure one."""

EXAMPLES = 3
"""How many records of each reason are named."""
_HOPELESS = 1000  # malformed records before the first pair, after which a file is not read on
_FEW = 5  # malformed records that never stop a file that also has pairs, however short it is
_SHOWN = 300  # characters of an example in an error message


@dataclass
class Skipped:
    """What was not read as a pair, in one file or in all files of a corpus."""

    file: str = ""
    """The file being read, for messages."""
    malformed: Counter[str] = field(default_factory=Counter)
    """Records by reason, one of `Malformed`."""
    unused: Counter[str] = field(default_factory=Counter)
    """Records by reason, one of `Unused`."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first malformed records of each reason: file, line and problem."""
    has_pairs: bool = False
    """Whether the file being read has given a pair."""

    def reject(self, reason: Malformed, where: str, problem: str) -> None:
        """Counts a malformed record. Raises DataError if a file gives nothing but malformed records."""
        self.malformed[reason] += 1
        if self.malformed[reason] <= EXAMPLES:
            self.examples.setdefault(reason, []).append(f"{where}: {problem}")
        if not self.has_pairs and self.malformed.total() == _HOPELESS:
            raise self._error(f"none of the first {_HOPELESS:,} records is a pair", "check `format` and `fields`")

    def pass_over(self, reason: Unused) -> None:
        """Counts a valid record that is no pair."""
        self.unused[reason] += 1

    def add(self, other: "Skipped") -> None:
        """Adds the counts of another file, and its examples as long as there are few."""
        self.malformed += other.malformed
        self.unused += other.unused
        for reason, examples in other.examples.items():
            mine = self.examples.setdefault(reason, [])
            mine += examples[: EXAMPLES - len(mine)]

    def check(self, pairs: int, share: float) -> None:
        """Raises DataError if more than this share of a file's records is malformed; a few never are too many.

        One bad row of a file of five is more than 1 %, but no reason to refuse it. With a share of 0, any is.
        """
        bad = self.malformed.total()
        records = pairs + self.unused.total() + bad
        if bad and bad == records:
            raise self._error(f"none of its {records:,} records is a pair", "check `format` and `fields`")
        if bad > share * records and (bad > _FEW or share == 0):
            raise self._error(
                f"{bad:,} of {records:,} records ({bad / records:.1%}) are malformed, "
                f"more than cleaning.max_malformed ({share:g})",
                "correct them, or raise cleaning.max_malformed",
            )

    def _error(self, problem: str, remedy: str) -> DataError:
        firsts = [(reason, self.examples[reason]) for reason in self.malformed]
        told = "; ".join(
            f"{self.malformed[reason]:,} {reason}: {', '.join(_cut(each) for each in examples)}"
            for reason, examples in firsts
        )
        return DataError(f"{self.file}: {problem}; {remedy} ({told})")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
