"""A JSON file of any size, read value by value: the lists in it are never in memory as a whole."""

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple

from kotrans.errors import DataError
from kotrans.storage.files import stream_text

_MOST = 16 * 2**20  # characters of one value, such as an object with a pair
_MOST_SKIPPED = 2**16  # characters of a broken value that are looked through for its end
_SPACES = (" ", "\t", "\r", "\n", "\ufeff")  # files that were joined may have a byte order mark anywhere
# A string ends on its line; a quotation mark without another one on its line is passed over.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|"[^\n]*\Z|[\[\]{}]')
_ENDING = 16  # characters before the end of what has been read: a word or a number there may be cut


class Element(NamedTuple):
    """An element of a list that is the file, or that an object has which is the file."""

    list: str
    """Name of the list; "" if the list is the file."""
    number: int
    """Counted from 1; 0 tells that the list begins."""
    line: int
    """Its offset, or the problem with it."""
    value: Any
    problem: str = ""
    """Why it is not valid JSON; then it has no value."""


class _NotJson(DataError):
    """A value is not valid JSON."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.line = line
        self.problem = problem


def read_elements(path: Path) -> Iterator[Element]:
    """The elements of every list, in the order of the file.

    An element that is not valid JSON is passed over if its closing bracket can be told, and given with its problem.
    Raises DataError naming the line if anything else is not JSON.
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
        raise text.error("there is more after its end; a file holds one list or object, or JSON Lines")


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
    """The text at the place that has been read to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = stream_text(path)
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._line = 1  # of the place that lines have been counted to
        self._counted = 0  # that place in `_text`

    def next(self) -> str:
        """The next character that is not white space, which stays; "" at the end."""
        while True:
            while self._text[self._at : self._at + 1] in _SPACES:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> None:
        """Goes past a character that must come now."""
        if self.next() != character:
            raise self.error(f"Expecting {character!r}")
        self._at += 1

    def items(self, end: str) -> Iterator[int]:
        """Counts the items of a list or an object from 1, and stands before each; `end` is what it ends with."""
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
        """The value that comes now, and goes past it."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _ENDING
                if not cut or len(self._text) - self._at > _MOST or not self._more():
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
            if len(self._text) - self._at > _MOST_SKIPPED or not self._more():
                return False
        self._at = end
        return self.next() in (",", "]")

    def _closing(self) -> int | None:
        """Where the list or object that begins here ends, by its brackets outside strings."""
        depth = 0
        for token in _TOKEN.finditer(self._text, self._at, self._at + _MOST_SKIPPED):
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
        """Number of the line of this place."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def error(self, problem: str, at: int | None = None) -> DataError:
        """The error that the text is not JSON, here or at another place in what has been read."""
        line = self.line() + self._text.count("\n", self._at, self._at if at is None else at)
        return _NotJson(self._path, line, f"not valid JSON ({problem})")

    def _more(self) -> bool:
        """Reads on, and forgets what is behind."""
        part = next(self._parts, None)
        if part is None:
            return False
        self.line()
        self._text, self._at, self._counted = self._text[self._at :] + part, 0, 0
        return True
