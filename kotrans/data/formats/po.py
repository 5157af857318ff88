"""Message catalogues (gettext PO), without the access keys of labels.

An access key is marked as `_File` or `&File` in English, and as `파일(_F)` or `파일(&F)` in Korean.
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

import polib

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Pair, Skipped, no_such_fields, one_line_each
from kotrans.data.formats.text_lines import text_lines
from kotrans.errors import DataError

_KEY = re.compile(r"\s*[(（]([_&]?)([A-Za-z0-9])[)）]")  # at the end of Korean, Chinese and Japanese labels
_MARKED_KEY = re.compile(r"[(（]([_&])[A-Za-z0-9][)）]")
_MARK = re.compile(r"(?:(?<!_)(_)|(?<!&)(&)(?!\w+;))([A-Za-z0-9])")  # before a letter
_MARK_AT_WORD = re.compile(r"(?:^|(?<=[\s\"'“‘]))([_&])([A-Za-z0-9]+)(?![\w;])")
_DOUBLED = {"&": re.compile(r"()&&"), "_": re.compile(r"(__\w+?__)(?!\w)|__")}  # not the underscores of __init__

# Characters at which polib would also split lines, and byte order marks inside concatenated files.
_NO_LINE_ENDS = dict.fromkeys(map(ord, "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ") | {0xFEFF: None}
PART = 1000
"""Lines after which a part of a catalogue ends with its message."""
_KEYWORD = re.compile(r"\s*(?:#~\s*)?(msg\w+)")
_BEGINNING = re.compile(r"\s*(?:(?:#~\s*)?msg(?:id|ctxt)\b|#(?!~))")  # first line of a message
_ERROR = re.compile(r"\(line (\d+)\)(?:: (.*))?")  # in error messages of polib
_WELL_QUOTED = re.compile(r'\s*(?:$|#|(?:msg\w+(?:\[\d+\])?\s*)?".*"\s*$)')  # polib accepts other lines, too
_NOT_UTF8 = "\0"  # placeholder that polib rejects


def mark_styles(lines: Iterable[str | None]) -> set[str]:
    """Returns the characters that mark access keys in Korean labels of a catalogue: `_` (GTK) or `&` (Qt, Windows)."""
    return {found[1] for line in lines if line for found in _MARKED_KEY.finditer(line)}


def without_key_marks(korean: str, english: str, styles: Set[str] = frozenset()) -> tuple[str, str]:
    """Removes the access keys of a label from both sides, and unescapes doubled `&` and `_`.

    A Korean key is in brackets with its mark, or without, as in `저장(S)`, if English marks the same letter. An English
    mark belongs to such a key; if Korean has no key, it is at the beginning of a word, in a catalogue that has access
    keys (`styles`). So `snake_case`, `R&D`, `f(_x)` and `비타민(C)` are unchanged.
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
    """Returns the mark of a key's letter; without one, the only mark if it is of the same style."""
    same = [mark for mark in marks if mark[3].lower() == key[2].lower()]
    if same:
        return same[0]
    return marks[0] if len(marks) == 1 and marks[0][0][0] == key[1] else None


def _at_words(text: str, styles: Set[str]) -> list[re.Match[str]]:
    """Returns the mark at the beginning of a word if there is exactly one."""
    found = [mark for mark in _MARK_AT_WORD.finditer(text) if mark[1] in styles]
    return found if len(found) == 1 else []


def _without(text: str, found: Sequence[re.Match[str]], characters: int | None = None) -> str:
    """Removes the matches from a text, or the first `characters` of each."""
    for each in sorted(found, key=lambda each: each.start(), reverse=True):
        end = each.end() if characters is None else each.start() + characters
        text = text[: each.start()] + text[end:]
    return text


def read_po(path: Path, fields: Fields, skipped: Skipped, part: int = PART) -> Iterator[Pair]:
    """Reads the translated messages that are neither fuzzy nor obsolete, without access keys.

    English is msgid, unless `fields` has `source: msgid`. Each plural form of a message is a pair. `part`: lines parsed
    at once. A message that polib cannot read costs only that message, which needs the file cut into messages.
    """
    korean_is_msgid = _korean_is_msgid(path, fields)
    styles = mark_styles(text_lines(path, Skipped()))
    for entry in _entries(path, skipped, part):
        if entry.obsolete:
            skipped.pass_over("obsolete")
        elif not any(pairs := _forms(entry)):
            skipped.pass_over("untranslated")
        elif entry.fuzzy:
            skipped.pass_over("fuzzy")
        else:
            for msgid, msgstr in pairs:
                korean, english = (msgid, msgstr) if korean_is_msgid else (msgstr, msgid)
                yield one_line_each(*without_key_marks(korean, english, styles))


def _forms(entry: polib.POEntry) -> list[tuple[str, str]]:
    """Returns msgid and msgstr of each translated form; a single msgstr of a message with plurals is the plural."""
    if not entry.msgid_plural:
        return [(entry.msgid, entry.msgstr)] if entry.msgstr else []
    forms = [text for _, text in sorted(entry.msgstr_plural.items(), key=lambda form: int(form[0]))]
    msgids = [entry.msgid_plural] if len(forms) == 1 else [entry.msgid, entry.msgid_plural]
    return [(msgid, msgstr) for msgid, msgstr in zip(msgids, forms, strict=False) if msgstr]


def _entries(path: Path, skipped: Skipped, size: int) -> Iterator[polib.POEntry]:
    """Yields the messages of a catalogue; counts those that polib cannot read."""
    for before, part in _parts(text_lines(path, skipped), size):
        try:
            entries = list(_parsed(part))
        except _Unreadable:
            entries = []
            for above, message in _parts(part, 0, blank_lines=True):
                try:
                    entries += _parsed(message)
                except _Unreadable as error:
                    if _NOT_UTF8 not in message:  # already counted
                        where = f"{path}:{before + above + error.line}"
                        skipped.reject("syntax", where, f"not valid PO{error.detail}")
        yield from entries


def _parts(lines: Iterable[str | None], size: int, *, blank_lines: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yields parts of complete messages, each with the number of lines before it.

    A message begins after the translation of the previous one; with `blank_lines`, also after a blank line if the
    previous one has no translation.
    """
    part: list[str] = []
    before, keyword, after_blank = 0, "", False
    for number, raw in enumerate(lines):
        line = _NOT_UTF8 if raw is None else raw.translate(_NO_LINE_ENDS)
        ended = keyword.startswith("msgstr") or (blank_lines and after_blank and keyword.startswith("msgid"))
        if ended and _BEGINNING.match(line):
            keyword = ""
            if len(part) >= size:
                yield before, part
                part, before = [], number
        if found := _KEYWORD.match(line):
            keyword = found[1]
        after_blank = not line.strip()
        part.append(line)
    yield before, part


class _Unreadable(Exception):
    """polib cannot read a part."""

    def __init__(self, line: int, detail: str = "") -> None:
        super().__init__(line, detail)
        self.line = line
        self.detail = f" ({detail})" if detail else ""


def _parsed(part: Sequence[str]) -> Iterable[polib.POEntry]:
    for number, line in enumerate(part, 1):
        if not _WELL_QUOTED.match(line):
            raise _Unreadable(number)
    try:
        return polib.pofile("\n".join(part) + "\n")  # a text with a line end is not mistaken for a path
    except (OSError, ValueError) as error:
        found = _ERROR.search(str(error))
        raise _Unreadable(int(found[1]) if found else 1, found[2] if found else "") from None


def _korean_is_msgid(path: Path, fields: Fields) -> bool:
    names = (fields.source, fields.target)
    if names in ((Fields().source, Fields().target), ("msgstr", "msgid")):
        return False
    if names == ("msgid", "msgstr"):
        return True
    raise DataError(f"{path}: {no_such_fields(list(names), ['msgid', 'msgstr'])}")
