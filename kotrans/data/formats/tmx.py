"""Translation memories (TMX 1.4b and older), read unit by unit; invalid units are counted and skipped."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.parsers import expat

from kotrans.config.sections import Fields
from kotrans.data.formats.pairs import Malformed, Pair, Skipped, no_such_fields, one_line_each
from kotrans.errors import DataError
from kotrans.storage.files import open_text

PART = 2**16
"""Bytes parsed at once."""
_MAX_UNIT = 2**20  # bytes
_CODES = frozenset(("bpt", "ept", "ph", "it", "ut"))  # elements whose content is formatting code, except in <sub>
_PREFIX = b"<tmx><body>"  # parsed first by a parser that starts at a unit
_MAX_TAG = 100  # bytes of the beginning of a <tu> tag
_DECLARATION = 1000  # bytes that contain the declaration of the encoding
_THREE_LETTERS = {"kor": "ko", "eng": "en"}
_UNIT = re.compile(rb"<(?:\w+:)?tu[\s>/]")
_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']""")
_TRUNCATED = {  # expat errors at the end of a truncated file
    expat.errors.codes[error]
    for error in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
}
_UNDEFINED = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
_ADVICE = {
    _UNDEFINED: "write the character itself, or its number (&#160; for &nbsp;)",
    expat.errors.codes[expat.errors.XML_ERROR_BAD_CHAR_REF]: "remove the control character",
    expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]: "write & as &amp; and < as &lt;, in UTF-8, and remove "
    "control characters",
}


class Unit(NamedTuple):
    """A `tu` element: language codes and texts, in order."""

    texts: list[tuple[str, str]]
    line: int
    without_segment: bool
    """True if a variant has no `seg`."""


class _Broken(Exception):
    """A unit that is well-formed so far but cannot be used."""

    def __init__(self, problem: str, reason: Malformed = "syntax") -> None:
        super().__init__(problem)
        self.reason = reason


def read_units(path: Path, skipped: Skipped, part: int = PART) -> Iterator[Unit]:
    """Yields the units of a file. Raises DataError if it is not XML, is truncated, or declares entities."""
    with open_text(path) as file:
        yield from _Units(path, _utf8(path, file, part), part, skipped).read()


class _Units:
    """Reads units with a new parser after each error, as expat cannot continue."""

    def __init__(self, path: Path, parts: Iterator[bytes], part: int, skipped: Skipped) -> None:
        self._path = path
        self._parts = parts
        self._kept_back = part
        self._skipped = skipped
        self._parser = _UnitParser(path, 1)
        self._buffer = b""  # parsed bytes from the open unit on
        self._begins = 0  # offset of the buffer in the parser's input
        self._repaired = False

    def read(self) -> Iterator[Unit]:
        unread: bytes | None = b""
        while unread is not None:
            data = unread or next(self._parts, b"")
            unread = b""
            self._buffer += data
            try:
                self._parser.parse(data, not data)
                self._check_length()
            except (expat.ExpatError, _Broken) as error:
                yield from self._parser.taken()
                unread = self._next_unit(error)
            else:
                yield from self._parser.taken()
                if not data:
                    return
                self._forget()

    def _check_length(self) -> None:
        begins = self._parser.begins
        if begins is not None and self._begins + len(self._buffer) - begins > _MAX_UNIT:
            raise _Broken("too long for a unit; is its end tag missing?", "too_long")

    def _forget(self) -> None:
        """Discards the unneeded beginning of the buffer. Outside a unit, expat may lag by one part."""
        begins = self._parser.begins
        kept_from = self._begins + len(self._buffer) - self._kept_back if begins is None else begins
        if kept_from > self._begins:
            self._buffer = self._buffer[kept_from - self._begins :]
            self._begins = kept_from

    def _next_unit(self, error: "expat.ExpatError | _Broken") -> bytes | None:
        """Counts the error, and starts a parser at the next unit; returns the rest from there, or None at the end."""
        is_open = self._parser.begins is not None
        at, line = self._parser.place()
        where, problem = f"{self._path}:{line}", _problem(error)
        if self._parser.begins is not None:
            at, line = self._parser.begins, self._parser.line
        rest = self._buffer[max(at - self._begins, 0) :]
        found = _UNIT.search(rest, 1 if is_open else 0)
        while found is None:
            more = next(self._parts, b"")
            if not more:
                self._end(error, is_open, where, problem)
                return None
            passed = max(1 if is_open else 0, len(rest) - _MAX_TAG)
            line += rest.count(b"\n", 0, passed)
            rest = rest[passed:] + more
            found = _UNIT.search(rest)
        self._skipped.reject(error.reason if isinstance(error, _Broken) else "syntax", where, problem)
        self._repaired = True
        self._parser = _UnitParser(self._path, line + rest.count(b"\n", 0, found.start()))
        self._parser.parse(_PREFIX, False)
        self._buffer, self._begins = b"", len(_PREFIX)
        return rest[found.start() :]

    def _end(self, error: "expat.ExpatError | _Broken", is_open: bool, where: str, problem: str) -> None:
        """Counts an error that no unit follows. Raises DataError if it concerns the whole file."""
        if isinstance(error, expat.ExpatError) and error.code in _TRUNCATED:
            raise DataError(f"{where}: {problem}; the file ends too early: is it complete?")
        if is_open:
            self._skipped.reject(error.reason if isinstance(error, _Broken) else "syntax", where, problem)
        elif not self._repaired:
            raise DataError(f"{where}: {problem}")


def _problem(error: "expat.ExpatError | _Broken") -> str:
    if isinstance(error, _Broken):
        return str(error)
    advice = _ADVICE.get(error.code)
    return f"not valid XML ({expat.ErrorString(error.code)})" + (f"; {advice}" if advice else "")


def _utf8(path: Path, file: BinaryIO, part: int) -> Iterator[bytes]:
    """Yields the file as UTF-8 without byte order mark, converted from its declared encoding."""
    head = file.read(max(part, _DECLARATION))
    encoding = _encoding(head)
    if encoding is None:
        yield head.removeprefix(codecs.BOM_UTF8)
        while data := file.read(part):
            yield data
        return
    try:
        b"".decode(encoding)  # raises LookupError unless it is a text encoding
        decoder = codecs.getincrementaldecoder(encoding)()
        while head:
            yield decoder.decode(head).encode()
            head = file.read(part)
        yield decoder.decode(b"", final=True).encode()
    except (LookupError, ValueError) as error:
        raise DataError(f"{path}: is not in its declared encoding ({error}); convert it to UTF-8") from None


def _encoding(head: bytes) -> str | None:
    """Returns the encoding of a file from its first bytes; None for UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith((b"<\0", b"\0<")):
        return "utf-16-le" if head[0] else "utf-16-be"
    declared = _ENCODING.match(head.removeprefix(codecs.BOM_UTF8))
    name = declared[1].decode().lower() if declared else "utf-8"
    # Declared UTF-16 is wrong here, as it is detected above: such files were converted to UTF-8.
    return None if name in ("utf-8", "utf8", "ascii", "us-ascii") or name.startswith("utf-16") else name


class _UnitParser:
    """Parses units with expat, without entity definitions and external entities."""

    def __init__(self, path: Path, line: int) -> None:
        """line: line number of the beginning of the input, for error messages."""
        self._finished: list[Unit] = []
        self.begins: int | None = None
        """Byte offset of the open unit, or None."""
        self.line = line
        """Line of the open unit."""
        self._path = path
        self._first_line = line
        self._texts: list[tuple[str, str]] = []
        self._without_segment = False
        self._language = ""
        self._has_segment = False
        self._kept: list[bool] = []  # for each open element of a segment: true if its text is kept
        self._text: list[str] = []
        self._expat = expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.SkippedEntityHandler = self._undefined
        self._expat.EntityDeclHandler = self._refuse
        self._expat.UnparsedEntityDeclHandler = self._refuse
        self._expat.ExternalEntityRefHandler = self._refuse

    def parse(self, data: bytes, final: bool) -> None:
        """Parses more input. Raises ExpatError or _Broken, after which the parser cannot be used."""
        self._expat.Parse(data, final)

    def taken(self) -> list[Unit]:
        """Returns the units completed since the last call."""
        units, self._finished = self._finished, []
        return units

    def place(self) -> tuple[int, int]:
        """Returns the current byte offset and line."""
        return self._expat.CurrentByteIndex, self._first_line + self._expat.CurrentLineNumber - 1

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "tu":
            if self.begins is not None:
                raise _Broken("another <tu> begins before its end tag")
            self.begins, self.line = self.place()
            self._texts, self._without_segment = [], False
        elif self._kept:
            self._kept.append(tag == "sub" or (self._kept[-1] and tag not in _CODES))
        elif tag == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
            self._has_segment = False
        elif tag == "seg" and self.begins is not None:
            self._kept, self._text = [True], []

    def _end(self, name: str) -> None:
        if self._kept:
            self._kept.pop()
            if not self._kept:
                self._has_segment = True
                self._texts.append((self._language, "".join(self._text)))
            return
        tag = name.rpartition(":")[2]
        if tag == "tuv":
            self._without_segment = self._without_segment or not self._has_segment
        elif tag == "tu" and self.begins is not None:
            self._finished.append(Unit(self._texts, self.line, self._without_segment))
            self.begins = None

    def _characters(self, text: str) -> None:
        if self._kept and self._kept[-1]:
            self._text.append(text)

    def _undefined(self, name: str, is_parameter: bool) -> None:
        if self.begins is not None:
            raise _Broken(f"not valid XML (undefined entity &{name};); {_ADVICE[_UNDEFINED]}")

    def _refuse(self, *declaration: Any) -> int:
        raise DataError(f"{self._path}: declares XML entities, which are unsafe; replace them by their text")


def read_tmx(path: Path, fields: Fields, skipped: Skipped) -> Iterator[Pair]:
    """Reads the units that have both languages, without formatting codes; `ko` matches ko-KR and kor, ko-KR also ko.

    A unit that is not valid XML is skipped; a file that declares entities is refused.
    """
    languages: set[str] = set()
    pairs = 0
    for unit in read_units(path, skipped):
        texts: dict[str, str] = {}
        for language, text in unit.texts:
            texts.setdefault(_code(language), text)
        languages.update(texts)
        source, target = _text_in(texts, fields.source), _text_in(texts, fields.target)
        if source is not None and target is not None:
            pairs += 1
            yield one_line_each(source, target)
        elif unit.without_segment:
            skipped.reject("fields", f"{path}:{unit.line}", "a <tuv> without a <seg>, which must hold the text")
        else:
            skipped.pass_over("languages")
    if languages and not pairs:
        names = [fields.source, fields.target]
        absent = [name for name in names if _text_in(dict.fromkeys(languages, ""), name) is None]
        raise DataError(f"{path}: {no_such_fields(absent or names, sorted(languages))}")


def _text_in(texts: dict[str, str], language: str) -> str | None:
    """Returns the text with exactly this language code, else with a region, else without its region."""
    wanted = _code(language)
    if wanted in texts:
        return texts[wanted]
    for code, text in texts.items():
        if code.startswith(f"{wanted}-"):
            return text
    return texts.get(wanted.split("-")[0])


def _code(language: str) -> str:
    """Returns a language code in lower case with hyphens, with two letters for Korean and English."""
    first, hyphen, rest = language.strip().lower().replace("_", "-").partition("-")
    return _THREE_LETTERS.get(first, first) + hyphen + rest
