"""Texts of several lines: each line is translated by itself, and the line breaks stay where they are."""

import re
from typing import NamedTuple

_BREAK = re.compile(r"(\r\n|\n|\r)")


class SplitText(NamedTuple):
    """A text cut at its line breaks."""

    lines: tuple[str, ...]
    """At least one; blank lines count."""
    breaks: tuple[str, ...]
    """The line breaks between lines; one fewer than `lines`."""

    def join(self, lines: list[str]) -> str:
        """The text of other lines, as many as there are, with the same line breaks."""
        between = [*self.breaks, ""]
        return "".join(line + end for line, end in zip(lines, between, strict=True))


def split_lines(text: str) -> SplitText:
    """The lines of a text. A line ends at \\n, \\r\\n or \\r, as in the files of all systems."""
    pieces = _BREAK.split(text)
    return SplitText(tuple(pieces[::2]), tuple(pieces[1::2]))
