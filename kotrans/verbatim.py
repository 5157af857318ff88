"""Numbers and Latin words: what a translation takes over from its source as it stands."""

import re
import string
from collections import Counter
from typing import Literal, NamedTuple

Kind = Literal["word", "number"]

# Words begin with a letter: "UTF-8" and "x86" are words, "3GB" is a number and a word.
_TOKEN = re.compile(
    r"(?P<word>_*[A-Za-z][A-Za-z0-9_]*(?:[.+-][A-Za-z0-9_]+)*)"
    r"|(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)*)"
)
_INNER = frozenset(string.ascii_letters + string.digits + "_")  # what goes on with a word
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ！ to ～ as ! to ~


class Token(NamedTuple):
    """A number or a word in a text."""

    text: str  # full-width characters as others
    kind: Kind
    begin: int  # its first character
    end: int  # the one behind its last

    @property
    def key(self) -> str:
        """The same for all ways of writing a number: "1,000" is "1000"."""
        return self.text.replace(",", "")


def tokens(line: str) -> list[Token]:
    """The numbers in digits and words in ASCII letters of a text, in order."""
    return [
        Token(match[0], "word" if match.lastgroup == "word" else "number", *match.span())
        for match in _TOKEN.finditer(line.translate(_FULL_WIDTH))
    ]


def numbers(line: str) -> Counter[str]:
    """The numbers in digits, without thousands separators, full-width digits as others; "1,000.5" is "1000.5"."""
    return Counter(token.key for token in tokens(line) if token.kind == "number")


def latin_words(line: str) -> Counter[str]:
    """The words in ASCII letters: names, identifiers, code words such as `apt-get`, `__init__` and `os.path`."""
    return Counter(token.text for token in tokens(line) if token.kind == "word")


def in_common(source: str, text: str, kind: Kind) -> Counter[str]:
    """The tokens of the source that stand in a text, each as often as in the one of them that has it less often.

    A word may be part of a hyphened one there, or stand right behind a number: "KDE-based" has the word "KDE", and
    "10KB" the word "KB".
    """
    if kind == "number":
        return numbers(source) & numbers(text)
    own, text = latin_words(text), text.translate(_FULL_WIDTH)
    return Counter(
        {
            word: min(most, found)
            for word, most in latin_words(source).items()
            if (found := max(own[word], times(word, text)))
        }
    )


def lost(source: str, text: str) -> Counter[str]:
    """The tokens of the source that do not stand in a text, by their keys, each as often as it is missing."""
    kept = in_common(source, text, "word") + in_common(source, text, "number")
    return Counter(token.key for token in tokens(source)) - kept


def times(word: str, text: str) -> int:
    """How often a word stands in a text with no letter, digit or underscore right before or after it."""
    count, begin = 0, text.find(word)
    while begin >= 0:
        end = begin + len(word)
        stands_alone = _INNER.isdisjoint((text[begin - 1 : begin], text[end : end + 1]))
        count += stands_alone
        begin = text.find(word, end if stands_alone else begin + 1)
    return count
