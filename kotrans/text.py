"""One line of text in its one form: the same for training, translating and scoring."""

import re
import unicodedata

# What Unicode and str.splitlines also call a line or word boundary; "\n" alone ends a line here.
_SPACES = re.compile(r"[\s\x00\x1c-\x1f\x85\u2028\u2029\u3164\u115f\u1160\uffa0]+")
_FILLERS = re.compile(r"[\x00\u3164\u115f\u1160\uffa0]")  # those that are no white space to Python
_HANGUL = re.compile("[\uac00-\ud7ff\u1100-\u11ff\u3131-\u318e\ua960-\ua97f]")  # the blocks of `is_hangul`
_KEPT_FORMATS = frozenset("\u200d")  # the joiner inside emoji; it is dropped elsewhere by the pattern below
_PICTURES = "\U0001f000-\U0001faff\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff"
_STRAY_JOINER = re.compile(f"(?<![{_PICTURES}\ufe0f])\u200d|\u200d(?![{_PICTURES}])")


def normalize(line: str) -> str:
    """NFC, white space folded to single spaces, control and zero-width characters gone, ends trimmed.

    Idempotent, and never longer than NFC makes the line. A blank line stays blank.
    """
    line = _SPACES.sub(" ", unicodedata.normalize("NFC", line))
    if not line.isprintable():  # the common line has nothing to drop
        line = "".join(c for c in line if c == " " or not _is_invisible(c))
        line = _STRAY_JOINER.sub("", line)
        line = _SPACES.sub(" ", unicodedata.normalize("NFC", line))
    return line.strip(" ")


def legible(line: str) -> str:
    """What `normalize` makes of a line but for its white space, which stays: where sentences end can be told by it."""
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
