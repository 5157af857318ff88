"""A JSON file of any size, read value by value: the lists in it are never in memory as a whole."""

import json
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple

from kotrans.errors import DataError
from kotrans.files import stream_text

_MOST = 16 * 2**20  # characters of one value, such as an object with a pair
_SPACES = (" ", "\t", "\r", "\n")
_ENDING = 16  # characters before the end of what has been read: a word or a number there may be cut


class Element(NamedTuple):
    """An element of a list that is the file, or that an object has which is the file."""

    list: str
    """Name of the list; "" if the list is the file."""
    number: int
    """Counted from 1; 0 tells that the list begins."""
    value: Any


def read_elements(path: Path) -> Iterator[Element]:
    """The elements of every list, in the order of the file. Raises DataError naming the line if it is not JSON."""
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
        raise text.error("there is more after its end")


def _elements(text: "_Text", name: str) -> Iterator[Element]:
    yield Element(name, 0, None)
    for number in text.items("]"):
        yield Element(name, number, text.value())


class _Text:
    """The text at the place that has been read to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = stream_text(path)
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._line = 1  # where `_text` begins

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
                raise DataError(f"{self._path}:{self._line}: JSON that cannot be read ({error})") from None
            else:
                if end < len(self._text) - _ENDING or not self._more():
                    self._at = end
                    return value

    def error(self, problem: str, at: int | None = None) -> DataError:
        """The error that the text is not JSON, here or at another place in what has been read."""
        line = self._line + self._text.count("\n", 0, self._at if at is None else at)
        return DataError(f"{self._path}:{line}: not valid JSON ({problem})")

    def _more(self) -> bool:
        """Reads on, and forgets what is behind."""
        part = next(self._parts, None)
        if part is None:
            return False
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :] + part, 0
        return True
