"""Marks of keys in the labels of programs: `_File` or `&File` in English, `파일(_F)` or `파일(&F)` in Korean."""

import re
from collections.abc import Iterable, Sequence, Set

_KEY = re.compile(r"\s*[(（]([_&]?)([A-Za-z0-9])[)）]")  # as Korean, Chinese and Japanese labels have it, at the end
_MARKED_KEY = re.compile(r"[(（]([_&])[A-Za-z0-9][)）]")
_MARK = re.compile(r"(?:(?<!_)(_)|(?<!&)(&)(?!\w+;))([A-Za-z0-9])")  # before a letter of a word
_MARK_AT_WORD = re.compile(r"(?:^|(?<=[\s\"'“‘]))([_&])([A-Za-z0-9]+)(?![\w;])")
_DOUBLED = {"&": re.compile(r"()&&"), "_": re.compile(r"(__\w+?__)(?!\w)|__")}  # but not the underscores of __init__


def mark_styles(lines: Iterable[str | None]) -> set[str]:
    """The characters that mark keys in a catalogue, by its Korean labels: `_` (GTK), `&` (Qt, Windows) or none."""
    return {found[1] for line in lines if line for found in _MARKED_KEY.finditer(line)}


def without_key_marks(korean: str, english: str, styles: Set[str] = frozenset()) -> tuple[str, str]:
    """Both sides of a label without the marks of its keys, and with single `&` and `_` where they are doubled for it.

    A key in Korean is one in brackets with its mark, or without, `저장(S)`, if English marks this letter. A mark in
    English is that of such a key; if Korean has no key, one at the beginning of a word, in a catalogue that has such
    labels (`styles`). So `snake_case`, `R&D`, `f(_x)` and `비타민(C)` stay.
    """
    if not ("_" in english or "&" in english or "(" in korean or "（" in korean):
        return korean, english
    marks = list(_MARK.finditer(english))
    letters = {mark[3].lower() for mark in marks}
    keys = [key for key in _KEY.finditer(korean) if _is_key(key, letters, english)]
    if keys:
        marked = [mark for key in keys if (mark := _mark_of(key, marks))]
        used = styles | {mark[0][0] for mark in marked} | {key[1] for key in keys if key[1]}
        korean, english = _without(korean, keys), _without(english, marked, 1)
    else:
        used = styles
        korean, english = (_without(side, _at_words(side, styles), 1) for side in (korean, english))
    for character in used:
        single = _DOUBLED[character]
        korean, english = (single.sub(lambda found: found[1] or found[0][0], side) for side in (korean, english))
    return korean, english


def _is_key(key: re.Match[str], letters: Set[str], english: str) -> bool:
    return key[0].strip() not in english and (bool(key[1]) or key[2].lower() in letters)


def _mark_of(key: re.Match[str], marks: Sequence[re.Match[str]]) -> re.Match[str] | None:
    """The mark of a key's letter; if there is none, the only mark there is."""
    same = [mark for mark in marks if mark[3].lower() == key[2].lower()]
    if same:
        return same[0]
    return marks[0] if len(marks) == 1 and marks[0][0][0] == key[1] else None


def _at_words(text: str, styles: Set[str]) -> list[re.Match[str]]:
    """The mark at the beginning of a word, if there is one and not several."""
    found = [mark for mark in _MARK_AT_WORD.finditer(text) if mark[1] in styles]
    return found if len(found) == 1 else []


def _without(text: str, found: Sequence[re.Match[str]], characters: int | None = None) -> str:
    """A text without what was found in it, or so many characters of each."""
    for each in sorted(found, key=lambda each: each.start(), reverse=True):
        end = each.end() if characters is None else each.start() + characters
        text = text[: each.start()] + text[end:]
    return text
