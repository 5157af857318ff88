"""What translators exchange: translation memories (TMX) and message catalogues (gettext PO)."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

import polib
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from kotrans.config.sections import Fields
from kotrans.corpus.formats.pairs import Pair, missing_field, one_line_each
from kotrans.errors import DataError
from kotrans.files import opened, stream_lines

logger = logging.getLogger(__name__)

# What polib would also split lines at, were it left in.
_NO_LINE_ENDS = dict.fromkeys(map(ord, "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
_PO_LINES = 1000  # after so many, a part of a catalogue ends with its message
_PO_KEYWORD = re.compile(r"\s*(?:#~\s*)?(msg\w+)")
_PO_BEGINNING = re.compile(r"\s*(?:(?:#~\s*)?msg(?:id|ctxt)\b|#(?!~))")  # of a message, where one may begin
_PO_LINE = re.compile(r"line (\d+)")
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_tmx(path: Path, fields: Fields) -> Iterator[Pair]:
    """Units that have both languages; `ko` also means ko-KR, and the text inside inline tags is kept."""
    languages, units, pairs = set[str](), 0, 0
    with _xml_errors(path), opened(path) as file:
        for texts in map(_texts, _units(file)):
            units += 1
            languages.update(texts)
            source, target = _of(texts, fields.source), _of(texts, fields.target)
            if source is not None and target is not None:
                pairs += 1
                yield one_line_each(source, target)
    if units and not pairs:
        names = [fields.source, fields.target]
        absent = [name for name in names if _of(dict.fromkeys(languages, ""), name) is None]
        raise missing_field(path, None, absent or names, sorted(languages))
    logger.info("%s: %d units, %d of them without both languages", path, units, units - pairs)


@contextmanager
def _xml_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise DataError(f"{path}:{error.position[0]}: not valid XML ({error})") from None
    except (DefusedXmlException, LookupError, UnicodeError, ValueError) as error:
        raise DataError(f"{path}: XML that is not safe or cannot be read ({error})") from None


def _units(file: BinaryIO) -> Iterator[Element]:
    """Every `tu`, which leaves the tree when the next one is asked for."""
    parents: list[Element] = []
    for event, element in iterparse(file, events=("start", "end"), forbid_entities=True):
        if event == "start":
            parents.append(element)
            continue
        parents.pop()
        if _tag(element) == "tu":
            yield element
            if parents:
                parents[-1].remove(element)


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _texts(unit: Element) -> dict[str, str]:
    """Text by language code in lower case; of several variants in a language, the first."""
    texts: dict[str, str] = {}
    for variant in unit:
        if _tag(variant) != "tuv":
            continue
        language = (variant.get(_XML_LANG) or variant.get("lang") or "").lower().replace("_", "-")
        segment = next((part for part in variant if _tag(part) == "seg"), None)
        if segment is not None:
            texts.setdefault(language, "".join(segment.itertext()))
    return texts


def _of(texts: dict[str, str], language: str) -> str | None:
    wanted = language.lower().replace("_", "-")
    return next((text for code, text in texts.items() if code == wanted or code.startswith(wanted + "-")), None)


def read_po(path: Path, fields: Fields) -> Iterator[Pair]:
    """Finished messages, not fuzzy, obsolete or plural; English is msgid, unless `fields` says `source: msgid`."""
    korean_is_msgid = _korean_is_msgid(path, fields)
    messages = skipped = 0
    for before, text in _messages(path):
        for entry in _catalogue(path, before, text):
            messages += 1
            if entry.obsolete or entry.fuzzy or entry.msgid_plural or not entry.msgstr:
                skipped += 1
            elif korean_is_msgid:
                yield one_line_each(entry.msgid, entry.msgstr)
            else:
                yield one_line_each(entry.msgstr, entry.msgid)
    logger.info("%s: %d messages, %d fuzzy, obsolete, plural or untranslated", path, messages, skipped)


def _messages(path: Path) -> Iterator[tuple[int, str]]:
    """The catalogue in parts of whole messages, each with the number of lines before it."""
    part: list[str] = []
    before, translated = 0, False  # in a message, what can follow a translation is another message
    for number, raw in enumerate(stream_lines(path)):
        line = raw.translate(_NO_LINE_ENDS)
        if translated and _PO_BEGINNING.match(line):
            translated = False
            if len(part) >= _PO_LINES:
                yield before, "\n".join(part)
                part, before = [], number
        if keyword := _PO_KEYWORD.match(line):
            translated = keyword[1].startswith("msgstr")
        part.append(line)
    yield before, "\n".join(part)


def _catalogue(path: Path, before: int, text: str) -> polib.POFile:
    try:
        return polib.pofile(text + "\n")  # with a line end, no content is mistaken for the path of a file
    except (OSError, ValueError) as error:
        detail = _PO_LINE.sub(lambda found: f"line {before + int(found[1])}", _detail(error))
        raise DataError(f"{path}: not a gettext PO file that can be read ({detail})") from None


def _korean_is_msgid(path: Path, fields: Fields) -> bool:
    names = (fields.source, fields.target)
    if names in ((Fields().source, Fields().target), ("msgstr", "msgid")):
        return False
    if names == ("msgid", "msgstr"):
        return True
    raise missing_field(path, None, list(names), ["msgid", "msgstr"])


def _detail(error: Exception) -> str:
    return str(error).rpartition("(")[2].rstrip(")") if "(line " in str(error) else str(error)[:100]
