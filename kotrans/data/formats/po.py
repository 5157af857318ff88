"""Message catalogues (gettext PO)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polib

from kotrans.config.sections import Fields
from kotrans.data.formats.key_marks import mark_styles, without_key_marks
from kotrans.data.formats.pairs import Pair, no_such_fields, one_line_each
from kotrans.data.formats.skipped import Skipped
from kotrans.data.formats.text_lines import text_lines
from kotrans.errors import DataError

# What polib would also split lines at, were it left in; a byte order mark is left where files were joined.
_NO_LINE_ENDS = dict.fromkeys(map(ord, "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ") | {0xFEFF: None}
PART = 1000
"""Lines after which a part of a catalogue ends with its message."""
_KEYWORD = re.compile(r"\s*(?:#~\s*)?(msg\w+)")
_BEGINNING = re.compile(r"\s*(?:(?:#~\s*)?msg(?:id|ctxt)\b|#(?!~))")  # of a message, where one may begin
_ERROR = re.compile(r"\(line (\d+)\)(?:: (.*))?")  # in a message of polib
_WELL_QUOTED = re.compile(r'\s*(?:$|#|(?:msg\w+(?:\[\d+\])?\s*)?".*"\s*$)')  # polib takes other lines, too
_NOT_UTF8 = "\0"  # a line that polib does not take


def read_po(path: Path, fields: Fields, skipped: Skipped, part: int = PART) -> Iterator[Pair]:
    """Finished messages, not fuzzy or obsolete, without the marks of keys. `part` is in lines.

    English is msgid, unless `fields` says `source: msgid`. Of a message with plural forms, each form is a pair.
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
    """msgid and msgstr of each form that is translated; the only form of a language without plurals means them."""
    if not entry.msgid_plural:
        return [(entry.msgid, entry.msgstr)] if entry.msgstr else []
    forms = [text for _, text in sorted(entry.msgstr_plural.items(), key=lambda form: int(form[0]))]
    msgids = [entry.msgid_plural] if len(forms) == 1 else [entry.msgid, entry.msgid_plural]
    return [(msgid, msgstr) for msgid, msgstr in zip(msgids, forms, strict=False) if msgstr]


def _entries(path: Path, skipped: Skipped, size: int) -> Iterator[polib.POEntry]:
    """The messages of a catalogue; one that polib cannot read is counted."""
    for before, part in _parts(text_lines(path, skipped), size):
        try:
            entries = list(_parsed(part))
        except _Unreadable:
            entries = []
            for above, message in _parts(part, 0, blank_lines=True):
                try:
                    entries += _parsed(message)
                except _Unreadable as error:
                    if _NOT_UTF8 not in message:  # that line has been counted
                        where = f"{path}:{before + above + error.line}"
                        skipped.reject("syntax", where, f"not valid PO{error.detail}")
        yield from entries


def _parts(lines: Iterable[str | None], size: int, *, blank_lines: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The lines in parts of whole messages, each with the number of lines before it.

    A message begins after the translation of the one before; with `blank_lines`, also after a blank line if the one
    before has no translation.
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
        return polib.pofile("\n".join(part) + "\n")  # with a line end, no content is mistaken for the path of a file
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
