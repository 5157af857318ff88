"""Streaming JSON reader: yields the elements of lists one at a time, with line numbers, and skips invalid ones."""

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple

from kotrans.errors import DataError
from kotrans.storage.files import stream_text

_MAX_VALUE = 16 * 2**20  # characters of one value, such as an object with a pair
_MAX_SKIPPED = 2**16  # characters of an invalid value that are searched for its end
_SPACES = (" ", "\t", "\r", "\n", "\ufeff")  # concatenated files may have a byte order mark anywhere
# A string ends on its line; an unpaired quotation mark is ignored up to the end of its line.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|"[^\n]*\Z|[\[\]{}]')
_ENDING = 16  # characters at the end of the buffer in which a literal or number may be incomplete


class Element(NamedTuple):
    """An element of the top-level list, or of a list in the top-level object."""

    list: str
    """Name of the list; "" for a top-level list."""
    number: int
    """Counted from 1; 0 marks the beginning of the list."""
    line: int
    """Line of the element, or of the problem."""
    value: Any
    problem: str = ""
    """Set, and value None, if the element is not valid JSON."""


class _NotJson(DataError):
    """A value is not valid JSON."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.line = line
        self.problem = problem


def read_elements(path: Path) -> Iterator[Element]:
    """Yields the elements of every list, in file order.

    An element that is not valid JSON is yielded with its problem if its closing bracket can be found.
    Raises DataError with the line if anything else is not valid JSON.
    """
    text = _Text(path)
    beginning = text.next()
    if beginning == "[":
        yield from _elements(text, "")
    elif beginning == "{":
        for _ in text.items("}"):
            name = text.value()
            text.take(":")
            if text.next() == "[":
                yield from _elements(text, str(name))
            else:
                text.value()
    else:
        text.value()
    if text.next():
        raise text.error("there is more text after its end; a file holds one list or object, or JSON Lines")


def _elements(text: "_Text", name: str) -> Iterator[Element]:
    yield Element(name, 0, text.line(), None)
    for number in text.items("]"):
        text.next()
        line = text.line()
        try:
            element = Element(name, number, line, text.value())
        except _NotJson as error:
            if not text.skip():
                raise
            element = Element(name, number, error.line, None, error.problem)
        yield element


class _Text:
    """The text at the current position."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = stream_text(path)
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._line = 1  # line number at `_counted`
        self._counted = 0  # position in `_text`

    def next(self) -> str:
        """Skips white space and returns the next character without consuming it; "" at the end."""
        while True:
            while self._text[self._at : self._at + 1] in _SPACES:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> None:
        """Consumes an expected character."""
        if self.next() != character:
            raise self.error(f"Expecting {character!r}")
        self._at += 1

    def items(self, end: str) -> Iterator[int]:
        """Yields the number of each item of a list or object, from 1, at the item's position; `end` is the bracket."""
        self._at += 1
        if self.next() == end:
            self._at += 1
            return
        number = 1
        while True:
            yield number
            if self.next() == end:
                self._at += 1
                return
            self.take(",")
            if end == "]" and self.next() == end:  # a comma after the last element
                self._at += 1
                return
            number += 1

    def value(self) -> Any:
        """Consumes and returns the next value."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _ENDING
                if not cut or len(self._text) - self._at > _MAX_VALUE or not self._more():
                    raise self.error(error.msg, error.pos) from None
            except (RecursionError, ValueError) as error:
                raise _NotJson(self._path, self.line(), f"JSON that cannot be read ({error})") from None
            else:
                if end < len(self._text) - _ENDING or not self._more():
                    self._at = end
                    return value

    def skip(self) -> bool:
        """Skips an invalid list or object. Returns false if its end cannot be found."""
        while (end := self._closing()) is None:
            if len(self._text) - self._at > _MAX_SKIPPED or not self._more():
                return False
        self._at = end
        return self.next() in (",", "]")

    def _closing(self) -> int | None:
        """Returns the end of the list or object at the current position, by its brackets outside strings."""
        depth = 0
        for token in _TOKEN.finditer(self._text, self._at, self._at + _MAX_SKIPPED):
            if token[0] in "[{":
                depth += 1
            elif token[0] in "]}":
                depth -= 1
                if depth <= 0:
                    return token.end() if depth == 0 else None
            elif depth == 0:
                return None
        return None

    def line(self) -> int:
        """Returns the line number of the current position."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def error(self, problem: str, at: int | None = None) -> DataError:
        """Returns the error for invalid JSON at the current or another position of the buffer."""
        line = self.line() + self._text.count("\n", self._at, self._at if at is None else at)
        return _NotJson(self._path, line, f"not valid JSON ({problem})")

    def _more(self) -> bool:
        """Reads more text and discards the consumed part; returns false at the end."""
        part = next(self._parts, None)
        if part is None:
            return False
        self.line()
        self._text, self._at, self._counted = self._text[self._at :] + part, 0, 0
        return True
