"""What translators exchange: translation memories (TMX) and message catalogues (gettext PO)."""

import logging
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import polib
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from kotrans.config.sections import Fields
from kotrans.corpus.formats.pairs import Pairs, missing_field
from kotrans.errors import DataError
from kotrans.files import decode, read_bytes

logger = logging.getLogger(__name__)

# What polib would also split lines at, were it left in.
_NO_LINE_ENDS = dict.fromkeys(map(ord, "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_tmx(path: Path, fields: Fields) -> Pairs:
    """Units that have both languages; `ko` also means ko-KR, and the text inside inline tags is kept."""
    read_bytes(path)
    pairs, languages, units = Pairs([], []), set[str](), 0
    try:
        for _, element in iterparse(str(path), events=("end",), forbid_entities=True):
            if _tag(element) != "tu":
                continue
            units += 1
            texts = _texts(element)
            languages.update(texts)
            source, target = _of(texts, fields.source), _of(texts, fields.target)
            if source is not None and target is not None:
                pairs.add(source, target)
            element.clear()
    except ParseError as error:
        raise DataError(f"{path}:{error.position[0]}: not valid XML ({error})") from None
    except (DefusedXmlException, LookupError, UnicodeError, ValueError) as error:
        raise DataError(f"{path}: XML that is not safe or cannot be read ({error})") from None
    if units and not pairs.source:
        names = [fields.source, fields.target]
        absent = [name for name in names if _of(dict.fromkeys(languages, ""), name) is None]
        raise missing_field(path, None, absent or names, sorted(languages))
    logger.info("%s: %d units, %d of them without both languages", path, units, units - len(pairs.source))
    return pairs


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


def read_po(path: Path, fields: Fields) -> Pairs:
    """Finished messages, not fuzzy, obsolete or plural; English is msgid, unless `fields` says `source: msgid`."""
    korean_is_msgid = _korean_is_msgid(path, fields)
    text = decode(read_bytes(path), path).translate(_NO_LINE_ENDS)
    try:
        catalogue = polib.pofile(text + "\n")  # with a line end, no content is mistaken for the path of a file
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a gettext PO file that can be read ({_detail(error)})") from None
    pairs, skipped = Pairs([], []), 0
    for entry in catalogue:
        if entry.obsolete or entry.fuzzy or entry.msgid_plural or not entry.msgstr:
            skipped += 1
        elif korean_is_msgid:
            pairs.add(entry.msgid, entry.msgstr)
        else:
            pairs.add(entry.msgstr, entry.msgid)
    logger.info("%s: %d messages, %d fuzzy, obsolete, plural or untranslated", path, len(catalogue), skipped)
    return pairs


def _korean_is_msgid(path: Path, fields: Fields) -> bool:
    names = (fields.source, fields.target)
    if names in ((Fields().source, Fields().target), ("msgstr", "msgid")):
        return False
    if names == ("msgid", "msgstr"):
        return True
    raise missing_field(path, None, list(names), ["msgid", "msgstr"])


def _detail(error: Exception) -> str:
    return str(error).rpartition("(")[2].rstrip(")") if "(line " in str(error) else str(error)[:100]
