"""What of a text no Korean model can translate and is passed through: lines without Korean, and pictures (emoji)."""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# Hangul syllables and letters, Hanja, kana, and signs that hold one of them (㈜, ㉠).
_KOREAN = re.compile(
    "[\u1100-\u11ff\u3041-\u30ff\u3131-\u318e\u31f0-\u321e\u3260-\u327e\u3400-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
_BASE = "[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]"
_MODIFIERS = "[\ufe0e\ufe0f\u20d0-\u20ff\U0001f3fb-\U0001f3ff]*+"
# A flag, a keycap, or a picture with its selectors and skin tones, and those that are joined to it.
_PICTURE = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|" + f"{_BASE}{_MODIFIERS}(?:\u200d{_BASE}{_MODIFIERS})*+"
)
# What is neither Latin, Korean, punctuation nor white space: only here are letters of other scripts and symbols.
_RARE = re.compile(
    "[^\x00-\u024f\u0300-\u036f\u1100-\u11ff\u1e00-\u1eff\u2000-\u20cf\u3000-\u318f\u3200-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\ufe00-\ufe0f\uff00-\uffff\U00020000-\U0003ffff]"
)


class SplitLine(NamedTuple):
    """A sentence without the pictures that its vocabulary does not have."""

    before: str  # pictures and white space in front of the text, which are passed through
    text: str
    after: str  # the same behind it
    outside: tuple[str, ...]  # pictures taken out of the text, symbols and letters of other scripts left in it


def has_korean(text: str) -> bool:
    """True if the text has a letter of Hangul, Hanja or kana; without one there is nothing to translate."""
    return _KOREAN.search(text) is not None


def divide(text: str, known: Callable[[str], bool]) -> SplitLine:
    """Takes the pictures that are not known out of a sentence: a model can only garble what it never saw.

    Those at its ends can stand at the ends of its translation.
    """
    if not _RARE.search(text) and "\u20e3" not in text:  # the common sentence has none
        return SplitLine("", text, "", ())
    unknown = [match.span() for match in _PICTURE.finditer(text) if not known(match[0])]
    begin, end = _ends(text, unknown)
    inside = [span for span in unknown if begin <= span[0] < end]
    kept, last = [], begin
    for start, stop in inside:
        kept.append(text[last:start])
        last = stop
    kept.append(text[last:end])
    stripped = "".join(kept)
    rare = [character for character in dict.fromkeys(_RARE.findall(stripped)) if _is_symbol_or_letter(character)]
    outside = [text[start:stop] for start, stop in inside] + [each for each in rare if not known(each)]
    return SplitLine(text[:begin], stripped, text[end:], tuple(dict.fromkeys(outside)))


def wrong_symbols(text: str, source: str, known: Callable[[str], bool]) -> list[tuple[str, str]]:
    """The symbols that a translation has misspelt in bytes, in order, each with what replaces it.

    A symbol (Unicode category S), or a code point that is not assigned, is wrong if it is neither in the source nor in
    the vocabulary (`known`). The next such symbol of the source that the text lacks replaces it, or nothing.
    """
    if text.isascii():
        return []
    wrong = [each for each in text if _is_symbol(each) and each not in source and not known(each)]
    lacking = iter([each for each in source if _is_symbol(each) and each not in text and not known(each)])
    return [(each, next(lacking, "")) for each in wrong]


def _is_symbol(character: str) -> bool:
    category = unicodedata.category(character)
    return not character.isascii() and (category[0] == "S" or category in ("Cn", "Co"))


def _ends(text: str, pictures: list[tuple[int, int]]) -> tuple[int, int]:
    """Where the text begins and ends without the pictures at its ends."""
    begin, end = 0, len(text)
    for start, stop in pictures:
        if text[begin:start].strip():
            break
        begin = stop
    for start, stop in reversed(pictures):
        if start < begin or text[stop:end].strip():
            break
        end = start
    while begin and begin < end and text[begin].isspace():
        begin += 1
    while begin < end < len(text) and text[end - 1].isspace():
        end -= 1
    return begin, end


def _is_symbol_or_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LS"
