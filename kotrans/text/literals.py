"""Literals of a line: numbers, Latin words, placeholders, addresses and code, and which of them a translation keeps.

Numbers are compared by value (see `quantities`), everything else by spelling. Opaque spans (placeholders, addresses and
code) have to occur in a translation unchanged; tags and keyboard mnemonics such as (S) are only masked.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, cast

from kotrans.text.quantities import Quantity, Reading, quantities

Kind = Literal["word", "number", "opaque"]
SpanKind = Literal["placeholder", "address", "code", "tag", "mark"]

_END = r"(?<![.,;:!?)\]}'\"])"  # punctuation after an address belongs to the sentence
_PATTERNS: dict[SpanKind, str] = {
    "address": rf"(?:https?|ftp)://[A-Za-z0-9][!-;=?-_a-z~]*{_END}|\bwww\.[A-Za-z0-9-]+\.[!-;=?-_a-z~]+{_END}"
    r"|[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]*[A-Za-z0-9])+"
    r"|(?<![\w+])\+[0-9]{1,3}(?:[-. ][0-9]{1,4}(?:[-.][0-9]{3,4}){1,2})(?![0-9-])"
    r"|(?<![\w-])0[0-9]{1,2}-[0-9]{3,4}-[0-9]{4}(?![0-9-])"
    r"|<(?:@[!&]?|#|a?:\w+:)[0-9]{5,}>",
    "code": r"(?<!`)``[^`가-힣]+``(?!`)|(?<!`)`[^`가-힣]+`(?!`)",
    "tag": r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>",
    "placeholder": r"\{\{[ ]?[\w.|-]+[ ]?\}\}|[$#]?\{[\w.!:\[\]%,<>^+-]*\}"
    r"|(?<![0-9%])%(?:\([A-Za-z_]\w*\)|[0-9]\$)?[-+#0]?[0-9]*(?:\.[0-9]+)?(?:hh?|ll?|[zj])?[sdifgGeExXoucrpi](?![A-Za-z0-9_])"
    r"|(?<![0-9%])%[1-9](?![0-9])|(?<![\w%])%[A-Z_]{2,}%(?!\w)"
    r"|(?<![\w$])\$[1-9](?![0-9]|[.,:][0-9]| ?(?:million|billion|thousand|[만억조천]))",
    "mark": r"(?<=[가-힣])\([_&]?[A-Za-z0-9]\)",
}
_SPAN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()), re.ASCII)
_MAY_HAVE = re.compile(r"[{}%$@+<>`(]|://|www\.|0[0-9]{1,2}-")  # a fast test for lines without any span

# Words begin with a letter: "UTF-8" and "x86" are words, "3GB" is a number and a word. "f()" is one word.
_WORD = re.compile(r"_*[A-Za-z][A-Za-z0-9_]*(?:[.+-][A-Za-z0-9_]+)*(?:\(\))*")
_WORD_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ！ to ～ become ! to ~
_MASK = "\0"  # does not occur in normalized text
_LONGEST_UNIT = 3  # letters directly after digits, such as km, which English may spell out


class Span(NamedTuple):
    """A span of a line that is not natural language."""

    text: str
    begin: int
    end: int
    kind: SpanKind


def opaque_spans(line: str) -> list[Span]:
    """Returns the opaque spans, tags and keyboard mnemonics of a line, in order."""
    if not _MAY_HAVE.search(line):
        return []
    return [Span(match[0], *match.span(), cast(SpanKind, match.lastgroup)) for match in _SPAN.finditer(line)]


def may_be_money(text: str) -> bool:
    """Returns whether a placeholder has a form like $1, which may also be an amount of money."""
    return text[0] == "$" and text[1:].isdecimal()


class Token(NamedTuple):
    """A literal in a line."""

    text: str
    """With full-width characters converted to ASCII."""
    kind: Kind
    begin: int
    """Index of its first character."""
    end: int
    """One past its last character."""
    firm: bool
    """Whether a translation must contain it; false for numbers in words and for units such as km."""
    quantity: Quantity | None = None
    """The value of a number."""

    @property
    def key(self) -> str:
        """The form in which words are compared, without the () of a call."""
        return self.text.removesuffix("()") if self.kind == "word" else self.text


class Literals:
    """The literals of a line, in order."""

    def __init__(self, line: str) -> None:
        self.line = line if line.isascii() else line.translate(_FULL_WIDTH)
        spans = opaque_spans(self.line)
        self.language = _masked(self.line, [(span.begin, span.end) for span in spans])
        """The line with opaque spans masked."""
        words = list(_WORD.finditer(self.language))
        with_digits = [word.span() for word in words if any(map(str.isdecimal, word[0]))]  # such as UTF-8
        numbers = quantities(_masked(self.language, with_digits))
        taken = {index for number in numbers for index in range(number.begin, number.end)}
        opaque = [span for span in spans if span.kind not in ("tag", "mark")]
        self.tokens = sorted(
            [
                *(Token(span.text, "opaque", span.begin, span.end, firm=True) for span in opaque),
                *(self._word(word) for word in words if word.start() not in taken),
                *(
                    Token(number.text, "number", number.begin, number.end, number.in_digits, number)
                    for number in numbers
                ),
            ],
            key=lambda token: token.begin,
        )

    def of(self, kind: Kind) -> list[Token]:
        """Returns the literals of one kind."""
        return [token for token in self.tokens if token.kind == kind]

    @cached_property
    def firm(self) -> list[Token]:
        """The literals that a translation must contain."""
        return [token for token in self.tokens if token.firm]

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of occurrences of each word and opaque literal."""
        return Counter(token.key for token in self.tokens if token.kind != "number")

    @cached_property
    def readings(self) -> frozenset[Reading]:
        """The readings of all numbers."""
        return frozenset(
            reading for token in self.of("number") if token.quantity for reading in token.quantity.readings
        )

    def _word(self, match: re.Match[str]) -> Token:
        before = self.language[match.start() - 1 : match.start()]
        unit = before.isdecimal() and len(match[0]) <= _LONGEST_UNIT
        return Token(match[0], "word", *match.span(), firm=not unit)


def kept_flags(wanted: Sequence[Token], text: Literals, *, articles: bool = True) -> list[bool]:
    """Returns for each source literal whether the text contains it; occurrences in the text are used once each.

    A word also matches inside a hyphenated word, directly after a number, and in the plural: "KDE-based" contains
    "KDE", "10KB" contains "KB", and "CDs" contains "CD".
    articles: whether the article "a" counts as the number 1.
    """
    used: Counter[str] = Counter()
    numbers = iter(_numbers_kept([token for token in wanted if token.kind == "number"], text, articles))
    found = []
    for token in wanted:
        if token.kind == "number":
            found.append(next(numbers))
            continue
        used[token.key] += 1
        found.append(used[token.key] <= _times_in(token, text))
    return found


def missing_literals(source: Literals, text: Literals) -> list[Token]:
    """Returns the literals of the source that a translation must have and lacks."""
    return [token for token, has in zip(source.firm, kept_flags(source.firm, text), strict=True) if not has]


def count_word(word: str, text: str) -> int:
    """Counts the whole-word occurrences of a word and its plural in a text.

    A call followed by another call, as in "f()()", does not count.
    """
    count, begin = 0, text.find(word)
    while begin >= 0:
        end = begin + len(word)
        is_whole = text[begin - 1 : begin] not in _WORD_CHARACTERS and _ends(word, text, end)
        count += is_whole
        begin = text.find(word, end if is_whole else begin + 1)
    return count


def _ends(word: str, text: str, end: int) -> bool:
    """Returns whether the word that ends at an index of the text is complete there, or has a plural ending."""
    if text[end : end + 1] not in _WORD_CHARACTERS:
        return not text.startswith("()()", end)
    plural = next((suffix for suffix in ("es", "s") if text.startswith(suffix, end)), "")
    after = text[end + len(plural) :][:1]
    return bool(plural) and len(word) > 1 and word[-1].isalpha() and after not in _WORD_CHARACTERS


def _times_in(token: Token, text: Literals) -> int:
    if token.kind == "opaque":
        dollars = token.text[0] == "$" and "dollar" in text.language.lower() and may_be_money(token.text)
        return text.line.count("dollar") if dollars else text.counts[token.text]
    return max(text.counts[token.key], count_word(token.key, text.language))


def _numbers_kept(wanted: Sequence[Token], text: Literals, articles: bool) -> list[bool]:
    if not wanted:
        return []
    offered = [
        token.quantity.readings for token in text.of("number")
        if token.quantity and (articles or token.quantity.kind != "article")
    ]  # fmt: skip
    matching = _Matching(offered)
    return [bool(token.quantity and matching.add(token.quantity.readings)) for token in wanted]


_Number = frozenset[Reading]


class _Matching:
    """Maximum matching of wanted and offered numbers with a common reading (augmenting paths, Kuhn 1955)."""

    def __init__(self, offered: Iterable[_Number]) -> None:
        self._free = Counter(offered)
        self._matched: dict[_Number, list[_Number]] = {number: [] for number in self._free}
        self._by_reading: dict[Reading, list[_Number]] = {}
        for number in self._free:
            for reading in number:
                self._by_reading.setdefault(reading, []).append(number)
        self._unmatched: set[_Number] = set()

    def add(self, wanted: _Number) -> bool:
        """Adds a number. Returns whether it could be matched without unmatching another one."""
        if wanted not in self._unmatched and self._augment(wanted, set()):
            return True
        self._unmatched.add(wanted)  # later additions cannot free a partner for it
        return False

    def _augment(self, wanted: _Number, visited: set[_Number]) -> bool:
        for offer in self._candidates(wanted):
            if offer in visited:
                continue
            visited.add(offer)
            matched = self._matched[offer]
            if self._free[offer]:
                self._free[offer] -= 1
                matched.append(wanted)
                return True
            for i, other in enumerate(matched):
                if other != wanted and self._augment(other, visited):
                    matched[i] = wanted
                    return True
        return False

    def _candidates(self, wanted: _Number) -> Iterator[_Number]:
        for reading in wanted:
            yield from self._by_reading.get(reading, ())


def _masked(line: str, spans: Iterable[tuple[int, int]]) -> str:
    for begin, end in spans:
        line = line[:begin] + _MASK * (end - begin) + line[end:]
    return line
