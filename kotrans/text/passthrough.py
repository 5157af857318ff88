"""Text that is passed through instead of translated: lines without Korean, and emoji that the vocabulary lacks."""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# Hangul syllables and jamo, Hanja, kana, and symbols that contain one of them (㈜, ㉠).
_KOREAN = re.compile(
    "[\u1100-\u11ff\u3041-\u30ff\u3131-\u318e\u31f0-\u321e\u3260-\u327e\u3400-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
_EMOJI_BASE = "[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]"
_MODIFIERS = "[\ufe0e\ufe0f\u20d0-\u20ff\U0001f3fb-\U0001f3ff]*+"
# A flag, a keycap, or a sequence of joined emoji with variation selectors and skin tones.
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|"
    + f"{_EMOJI_BASE}{_MODIFIERS}(?:\u200d{_EMOJI_BASE}{_MODIFIERS})*+"
)
# Symbols and letters of other scripts: anything but Latin, Korean, punctuation and white space.
_RARE = re.compile(
    "[^\x00-\u024f\u0300-\u036f\u1100-\u11ff\u1e00-\u1eff\u2000-\u20cf\u3000-\u318f\u3200-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\ufe00-\ufe0f\uff00-\uffff\U00020000-\U0003ffff]"
)


class SplitLine(NamedTuple):
    """A sentence without the emoji that are missing from the vocabulary."""

    before: str
    """Emoji and white space before the text, which are passed through."""
    text: str
    after: str
    """Emoji and white space after the text, which are passed through."""
    outside: tuple[str, ...]
    """Emoji removed from the inside of the text, and unknown symbols and letters of other scripts that remain in it."""


def has_korean(text: str) -> bool:
    """Returns whether the text contains Hangul, Hanja or kana; without any there is nothing to translate."""
    return _KOREAN.search(text) is not None


def split_emoji(text: str, known: Callable[[str], bool]) -> SplitLine:
    """Removes the emoji that are not in the vocabulary from a sentence, because a model would garble them.

    Emoji at the ends of the sentence are returned as `before` and `after`.
    known: whether a string is in the vocabulary.
    """
    if not _RARE.search(text) and "\u20e3" not in text:
        return SplitLine("", text, "", ())
    unknown = [match.span() for match in _EMOJI.finditer(text) if not known(match[0])]
    begin, end = _ends(text, unknown)
    inside = [span for span in unknown if begin <= span[0] < end]
    kept, last = [], begin
    for start, stop in inside:
        kept.append(text[last:start])
        last = stop
    kept.append(text[last:end])
    stripped = "".join(kept)
    rare = [character for character in dict.fromkeys(_RARE.findall(stripped)) if _is_symbol_or_letter(character)]
    outside = [text[start:stop] for start, stop in inside] + [character for character in rare if not known(character)]
    return SplitLine(text[:begin], stripped, text[end:], tuple(dict.fromkeys(outside)))


def wrong_symbols(text: str, source: str, known: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Returns the symbols that a translation misspells in byte pieces, in order, each with its replacement.

    A symbol (Unicode category S) or unassigned code point is wrong if it is neither in the source nor in the vocabulary
    (`known`). It is replaced by the next such symbol of the source that the text lacks, or by "".
    """
    if text.isascii():
        return []
    wrong = [c for c in text if _is_symbol(c) and c not in source and not known(c)]
    missing = iter([c for c in source if _is_symbol(c) and c not in text and not known(c)])
    return [(c, next(missing, "")) for c in wrong]


def _is_symbol(character: str) -> bool:
    category = unicodedata.category(character)
    return not character.isascii() and (category[0] == "S" or category in ("Cn", "Co"))


def _ends(text: str, emoji: list[tuple[int, int]]) -> tuple[int, int]:
    """Returns the span of the text without the emoji and white space at its ends."""
    begin, end = 0, len(text)
    for start, stop in emoji:
        if text[begin:start].strip():
            break
        begin = stop
    for start, stop in reversed(emoji):
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
