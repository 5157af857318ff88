"""Normalization of a line of text, the same for training, translation and scoring."""

import html
import re
import unicodedata
from html.entities import html5

# White space of any kind, the line boundaries of str.splitlines, NUL, and the Hangul fillers.
_SPACES = re.compile(r"[\s\x00\x1c-\x1f\x85\u2028\u2029\u3164\u115f\u1160\uffa0]+")
_FILLERS = re.compile(r"[\x00\u3164\u115f\u1160\uffa0]")  # the ones that are not white space in Python
_HANGUL = re.compile("[\uac00-\ud7ff\u1100-\u11ff\u3131-\u318e\ua960-\ua97f]")  # syllables and jamo
_KEPT_FORMATS = frozenset("\u200d")  # the joiner inside emoji; `_STRAY_JOINER` removes it elsewhere
_EMOJI = "\U0001f000-\U0001faff\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff"
_STRAY_JOINER = re.compile(f"(?<![{_EMOJI}\ufe0f])\u200d|\u200d(?![{_EMOJI}])")
# The semicolon is required: "AT&T" and "a&lt" are plain text.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


_MIN_REPEATS = 8
_KEPT_REPEATS = 3
_LONGEST_GROUP = 16  # characters
# Digits are excluded: the number of zeros is significant.
_REPEATED = re.compile(rf"([^0-9０-９]{{1,{_LONGEST_GROUP}}}?)\1{{{_MIN_REPEATS},}}+")


def normalize(line: str) -> str:
    """Returns the line in NFC with decoded HTML entities, single spaces, and no control or zero-width characters.

    Both ends are trimmed. Idempotent; the result is never longer than the NFC form of the line. Entities escaped more
    than once are decoded completely; unknown entities are kept.
    """
    line = _folded(line)
    while "&" in line and (plain := _ENTITY.sub(_character, line)) != line:
        line = _folded(plain)
    return line.strip(" ")


def _folded(line: str) -> str:
    line = _SPACES.sub(" ", unicodedata.normalize("NFC", line))
    if not line.isprintable():
        line = "".join(c for c in line if c == " " or not _is_invisible(c))
        line = _STRAY_JOINER.sub("", line)
        line = _SPACES.sub(" ", unicodedata.normalize("NFC", line))
    return line


def _character(entity: re.Match[str]) -> str:
    """Returns the character of an HTML entity: empty for control characters, unchanged for unknown names."""
    text = html.unescape(entity[0]) if entity[0][1] == "#" else html5.get(entity[0][1:], entity[0])
    if text.isspace():
        return " "
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs") and c != "\ufffd")


def normalize_except_spaces(line: str) -> str:
    """Returns the line normalized as by `normalize`, but with its white space, which sentence splitting needs."""
    line = _without_invisible(line)
    while "&" in line and (plain := _ENTITY.sub(_character, line)) != line:
        line = _without_invisible(plain)
    return line


def _without_invisible(line: str) -> str:
    line = _FILLERS.sub(" ", unicodedata.normalize("NFC", line))
    if line.isprintable():
        return line
    return "".join(c for c in line if c.isspace() or not _is_invisible(c))


def has_invisible(line: str) -> bool:
    """Returns whether the line contains control or zero-width characters, which `normalize` removes."""
    return not line.isprintable() and any(_is_invisible(c) for c in line)


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Cc", "Cs") or (category == "Cf" and character not in _KEPT_FORMATS)


def has_hangul(text: str) -> bool:
    """Returns whether the text contains Hangul."""
    return _HANGUL.search(text) is not None


def is_hangul(character: str) -> bool:
    """Returns whether a character is a Hangul syllable or jamo, in any Unicode block."""
    return (
        "\uac00" <= character <= "\ud7ff" or "\u1100" <= character <= "\u11ff"
        or "\u3131" <= character <= "\u318e" or "\ua960" <= character <= "\ua97f"
    )  # fmt: skip


def shorten(text: str) -> str:
    """Reduces elongated text such as "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ", which no model was trained on.

    A group of up to 16 characters that occurs more than eight times in a row is reduced to three occurrences.
    """
    return _REPEATED.sub(lambda match: match[1] * _KEPT_REPEATS, text) if len(text) > _MIN_REPEATS else text
