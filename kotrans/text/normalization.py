"""One line of text in its one form: the same for training, translating and scoring.

Elongated text: hundreds of `ㅋ` in a row mean no more than three, and no model was trained on so many.
"""

import html
import re
import unicodedata
from html.entities import html5

# What Unicode and str.splitlines also call a line or word boundary; "\n" alone ends a line here.
_SPACES = re.compile(r"[\s\x00\x1c-\x1f\x85\u2028\u2029\u3164\u115f\u1160\uffa0]+")
_FILLERS = re.compile(r"[\x00\u3164\u115f\u1160\uffa0]")  # those that are no white space to Python
_HANGUL = re.compile("[\uac00-\ud7ff\u1100-\u11ff\u3131-\u318e\ua960-\ua97f]")  # the blocks of `is_hangul`
_KEPT_FORMATS = frozenset("\u200d")  # the joiner inside emoji; it is dropped elsewhere by the pattern below
_PICTURES = "\U0001f000-\U0001faff\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff"
_STRAY_JOINER = re.compile(f"(?<![{_PICTURES}\ufe0f])\u200d|\u200d(?![{_PICTURES}])")
# Only those that end in ";": "AT&T" and "a&lt" are text.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def normalize(line: str) -> str:
    """NFC, HTML entities as their characters, white space as single spaces, no control and zero-width characters.

    Ends are trimmed. Idempotent, and never longer than NFC makes the line. A blank line stays blank. Entities that were
    escaped twice or more become characters, too; an unknown one stays as it is.
    """
    line = _folded(line)
    while "&" in line and (plain := _ENTITY.sub(_character, line)) != line:
        line = _folded(plain)
    return line.strip(" ")


def _folded(line: str) -> str:
    line = _SPACES.sub(" ", unicodedata.normalize("NFC", line))
    if not line.isprintable():  # the common line has nothing to drop
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


def legible(line: str) -> str:
    """What `normalize` makes of a line but for its white space, which stays: where sentences end can be told by it."""
    line = _shown(line)
    while "&" in line and (plain := _ENTITY.sub(_character, line)) != line:
        line = _shown(plain)
    return line


def _shown(line: str) -> str:
    line = _FILLERS.sub(" ", unicodedata.normalize("NFC", line))
    if line.isprintable():
        return line
    return "".join(c for c in line if c.isspace() or not _is_invisible(c))


def has_invisible(line: str) -> bool:
    """True if the line holds control or zero-width characters, which `normalize` would drop."""
    return not line.isprintable() and any(_is_invisible(c) for c in line)


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Cc", "Cs") or (category == "Cf" and character not in _KEPT_FORMATS)


def has_hangul(text: str) -> bool:
    """True if any of the characters is Hangul, as `is_hangul` tells."""
    return _HANGUL.search(text) is not None


def is_hangul(character: str) -> bool:
    """True for a Hangul syllable or jamo, in any of Unicode's blocks for them."""
    return (
        "\uac00" <= character <= "\ud7ff" or "\u1100" <= character <= "\u11ff"
        or "\u3131" <= character <= "\u318e" or "\ua960" <= character <= "\ua97f"
    )  # fmt: skip


_MOST = 8  # repeats that stay: "ㅋㅋㅋㅋㅋ", "하하하하"
_KEPT = 3
_LONGEST = 16  # characters of what is repeated
# Digits stay: the number of zeros is the number.
_REPEATED = re.compile(rf"([^0-9０-９]{{1,{_LONGEST}}}?)\1{{{_MOST},}}+")


def shorten(text: str) -> str:
    """Reduces a group of up to 16 characters that is repeated more than eight times in a row to three repetitions."""
    return _REPEATED.sub(lambda found: found[1] * _KEPT, text) if len(text) > _MOST else text
