"""Pairs as returned by all format readers, and counts of the records that are not pairs."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Literal, NamedTuple, Self

from kotrans.config.sections import Fields
from kotrans.errors import DataError

Pair = tuple[str, str]
"""Korean and English, without "\\n"."""

Malformed = Literal["syntax", "columns", "fields", "not_text", "encoding", "too_long"]
"""Reasons for invalid records: `syntax` of the format, wrong number of `columns`, missing `fields`, `not_text` values,
invalid `encoding`, or `too_long` for the reader."""
Unused = Literal["languages", "untranslated", "fuzzy", "obsolete"]
"""Reasons for valid records without a pair: a TMX unit without both `languages`, or a PO message whose translation is
missing, uncertain or obsolete."""

EXAMPLES = 3
"""Number of records kept as examples of each reason."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_HOPELESS = 1000  # malformed records before the first pair after which reading stops
_FEW = 5  # malformed records that are accepted in any file that also has pairs
_MAX_SHOWN = 300  # characters of an example in an error message


class Pairs(NamedTuple):
    """Korean and English lines; line N of one translates line N of the other."""

    source: list[str]
    target: list[str]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Self:
        """Reads a stream of pairs into memory."""
        both = list(pairs)
        return cls([source for source, _ in both], [target for _, target in both])


def one_line_each(source: str, target: str) -> Pair:
    """Returns a pair in which line breaks are replaced by spaces and lone surrogates by U+FFFD."""
    return _one_line(source), _one_line(target)


def in_parts(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """Yields lists of at most `size` pairs."""
    pairs = iter(pairs)
    while part := list(islice(pairs, size)):
        yield part


def text_of(value: object) -> str | None:
    """Returns a field's value as text: None becomes "", numbers are formatted; any other type returns None."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return str(value)
    return None


def no_such_fields(names: Sequence[str], found: Sequence[str], fields: Fields | None = None) -> str:
    """Returns the message for missing fields, with the names found and the `fields` setting to use."""
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


@dataclass
class Skipped:
    """Counts of records that are not pairs, in one file or in all files of a corpus."""

    file: str = ""
    """The file being read, for error messages."""
    malformed: Counter[str] = field(default_factory=Counter)
    """Records by reason, see `Malformed`."""
    unused: Counter[str] = field(default_factory=Counter)
    """Records by reason, see `Unused`."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first malformed records of each reason: file, line and problem."""
    has_pairs: bool = False
    """True once the file being read has yielded a pair."""

    def reject(self, reason: Malformed, where: str, problem: str) -> None:
        """Counts a malformed record. Raises DataError if a file begins with too many of them."""
        self.malformed[reason] += 1
        if self.malformed[reason] <= EXAMPLES:
            self.examples.setdefault(reason, []).append(f"{where}: {problem}")
        if not self.has_pairs and self.malformed.total() == _HOPELESS:
            raise self._error(f"none of the first {_HOPELESS:,} records is a pair", "check `format` and `fields`")

    def pass_over(self, reason: Unused) -> None:
        """Counts a valid record that is not a pair."""
        self.unused[reason] += 1

    def add(self, other: "Skipped") -> None:
        """Adds the counts and first examples of another file."""
        self.malformed += other.malformed
        self.unused += other.unused
        for reason, examples in other.examples.items():
            mine = self.examples.setdefault(reason, [])
            mine += examples[: EXAMPLES - len(mine)]

    def check(self, pairs: int, share: float) -> None:
        """Raises DataError if more than `share` of a file's records is malformed.

        A few are accepted regardless of the share, as in a file of five rows, unless the share is 0.
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
        reasons = "; ".join(
            f"{count:,} {reason}: {', '.join(map(_cut, self.examples[reason]))}"
            for reason, count in self.malformed.items()
        )
        return DataError(f"{self.file}: {problem}; {remedy} ({reasons})")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
