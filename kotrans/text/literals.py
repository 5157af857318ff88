"""Literals: the numbers, Latin words, placeholders, addresses and code of a line, and which of them a translation has.

Numbers are compared by value (see `quantities`), words and the rest by how they are written.

Spans of text that are not natural language: placeholders, addresses, code, tags and key marks.

Opaque spans have to stand in a translation whole and unchanged. Tags and marks of keys are only passed over.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from kotrans.text.quantities import Quantity, Reading, quantities

SpanKind = Literal["placeholder", "address", "code", "tag", "mark"]

_END = r"(?<![.,;:!?)\]}'\"])"  # of an address: punctuation behind it belongs to the sentence
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
_MAY_HAVE = re.compile(r"[{}%$@+<>`(]|://|www\.|0[0-9]{1,2}-")


class Span(NamedTuple):
    """A stretch of a line that is no language."""

    text: str
    begin: int
    end: int
    kind: SpanKind


def opaque_spans(line: str) -> list[Span]:
    """The opaque spans, tags and marks of keys of a line, in order."""
    if not _MAY_HAVE.search(line):
        return []
    return [Span(match[0], *match.span(), _kind(match)) for match in _SPAN.finditer(line)]


def may_be_money(text: str) -> bool:
    """Whether it is like $1, which is a placeholder or a dollar."""
    return text[0] == "$" and text[1:].isdecimal()


def _kind(match: re.Match[str]) -> SpanKind:
    return next(kind for kind in _PATTERNS if match[kind] is not None)


Kind = Literal["word", "number", "opaque"]

# Words begin with a letter: "UTF-8" and "x86" are words, "3GB" is a number and a word. A call is a word with its ().
_WORD = re.compile(r"_*[A-Za-z][A-Za-z0-9_]*(?:[.+-][A-Za-z0-9_]+)*(?:\(\))*")
_INNER = frozenset(string.ascii_letters + string.digits + "_")  # what goes on with a word
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ！ to ～ as ! to ~
_HIDDEN = "\0"  # in the place of what is no language; no text has it
_LONGEST_UNIT = 3  # letters of one right behind digits, such as km, which English may write out


class Token(NamedTuple):
    """A literal in a line."""

    text: str
    """Full-width characters as ASCII."""
    kind: Kind
    begin: int
    """Its first character."""
    end: int
    """One past its last character."""
    firm: bool
    """Whether a translation has to have it: not a number in words, nor a unit such as km."""
    quantity: Quantity | None = None
    """Of a number."""

    @property
    def key(self) -> str:
        """What words are compared by: a call is the same with and without its ()."""
        return self.text.removesuffix("()") if self.kind == "word" else self.text


class Literals:
    """The literals of a line, in order."""

    def __init__(self, line: str) -> None:
        self.line = line if line.isascii() else line.translate(_FULL_WIDTH)
        spans = opaque_spans(self.line)
        self.language = _hide(self.line, spans)
        """The line with opaque spans masked."""
        words = list(_WORD.finditer(self.language))
        found = quantities(_hide_words(self.language, words))
        taken = {place for quantity in found for place in range(quantity.begin, quantity.end)}
        self.tokens = sorted(
            [
                *(
                    Token(each.text, "opaque", each.begin, each.end, firm=True)
                    for each in spans if each.kind not in ("tag", "mark")
                ),
                *(self._word(word) for word in words if word.start() not in taken),
                *(Token(each.text, "number", each.begin, each.end, each.in_digits, each) for each in found),
            ],
            key=lambda token: token.begin,
        )  # fmt: skip

    def of(self, kind: Kind) -> list[Token]:
        """Those of a kind."""
        return [token for token in self.tokens if token.kind == kind]

    @cached_property
    def firm(self) -> list[Token]:
        """Those that a translation has to have."""
        return [token for token in self.tokens if token.firm]

    @cached_property
    def counts(self) -> Counter[str]:
        """Counts of the words and opaque literals of the line."""
        return Counter(token.key for token in self.tokens if token.kind != "number")

    @cached_property
    def readings(self) -> frozenset[Reading]:
        """What the numbers may mean."""
        return frozenset(each for token in self.of("number") if token.quantity for each in token.quantity.readings)

    def _word(self, match: re.Match[str]) -> Token:
        before = self.language[match.start() - 1 : match.start()]
        unit = before.isdecimal() and len(match[0]) <= _LONGEST_UNIT
        return Token(match[0], "word", *match.span(), firm=not unit)


def kept(wanted: Sequence[Token], text: Literals, *, articles: bool = True) -> list[bool]:
    """Returns which literals of a source a text contains, each occurrence counted once.

    A word may be part of a hyphened one there, stand right behind a number, or have a plural's "s": "KDE-based" has the
    word "KDE", "10KB" the word "KB", and "CDs" the word "CD". articles: whether "a" may be a 1.
    """
    used: Counter[str] = Counter()
    numbers = iter(_numbers_kept([each for each in wanted if each.kind == "number"], text, articles))
    found = []
    for token in wanted:
        if token.kind == "number":
            found.append(next(numbers))
            continue
        used[token.key] += 1
        found.append(used[token.key] <= _times_in(token, text))
    return found


def lost(source: Literals, text: Literals) -> list[Token]:
    """Returns the literals of the source that a translation must have and lacks."""
    return [token for token, has in zip(source.firm, kept(source.firm, text), strict=True) if not has]


def times(word: str, text: str) -> int:
    """Counts a word or its plural in a text, where no letter, digit or underscore adjoins it.

    Not where it is called twice in a row, as in "f()()".
    """
    count, begin = 0, text.find(word)
    while begin >= 0:
        end = begin + len(word)
        stands_alone = text[begin - 1 : begin] not in _INNER and _ends(word, text, end)
        count += stands_alone
        begin = text.find(word, end if stands_alone else begin + 1)
    return count


def _ends(word: str, text: str, end: int) -> bool:
    if text[end : end + 1] not in _INNER:
        return not text.startswith("()()", end)
    plural = next((suffix for suffix in ("es", "s") if text.startswith(suffix, end)), "")
    return bool(plural) and len(word) > 1 and word[-1].isalpha() and text[end + len(plural) :][:1] not in _INNER


def _times_in(token: Token, text: Literals) -> int:
    if token.kind == "opaque":
        dollars = token.text[0] == "$" and "dollar" in text.language.lower() and may_be_money(token.text)
        return text.line.count("dollar") if dollars else text.counts[token.text]
    return max(text.counts[token.key], times(token.key, text.language))


def _numbers_kept(wanted: Sequence[Token], text: Literals, articles: bool) -> list[bool]:
    if not wanted:
        return []
    offered = [
        token.quantity.readings for token in text.of("number")
        if token.quantity and (articles or token.quantity.kind != "article")
    ]  # fmt: skip
    matching = _Matching(offered)
    return [bool(token.quantity and matching.add(token.quantity.readings)) for token in wanted]


class _Matching:
    """Maximum matching of wanted and offered numbers with a common reading (augmenting paths, Kuhn 1955)."""

    def __init__(self, offered: Iterable[frozenset[Reading]]) -> None:
        self._free = Counter(offered)  # equal ones are one place for several
        self._takers: dict[frozenset[Reading], list[frozenset[Reading]]] = {each: [] for each in self._free}
        self._places: dict[Reading, list[frozenset[Reading]]] = {}
        for place in self._free:
            for reading in place:
                self._places.setdefault(reading, []).append(place)
        self._refused: set[frozenset[Reading]] = set()

    def add(self, wanted: frozenset[Reading]) -> bool:
        """Adds one number. Returns whether it could be matched without unmatching another."""
        if wanted not in self._refused and self._settle(wanted, set()):
            return True
        self._refused.add(wanted)  # no later one makes room
        return False

    def _settle(self, wanted: frozenset[Reading], seen: set[frozenset[Reading]]) -> bool:
        for place in self._of(wanted):
            if place in seen:
                continue
            seen.add(place)
            takers = self._takers[place]
            if self._free[place]:
                self._free[place] -= 1
                takers.append(wanted)
                return True
            for number, taker in enumerate(takers):
                if taker != wanted and self._settle(taker, seen):
                    takers[number] = wanted
                    return True
        return False

    def _of(self, wanted: frozenset[Reading]) -> Iterator[frozenset[Reading]]:
        for reading in wanted:
            yield from self._places.get(reading, ())


def _hide(line: str, spans: Iterable[tuple[str, int, int, str]]) -> str:
    for text, begin, end, _ in spans:
        line = line[:begin] + _HIDDEN * len(text) + line[end:]
    return line


def _hide_words(line: str, words: Iterable[re.Match[str]]) -> str:
    """Hides the words with digits in them, such as UTF-8."""
    with_digits = [word for word in words if any(map(str.isdecimal, word[0]))]
    return _hide(line, [(word[0], *word.span(), "") for word in with_digits])
