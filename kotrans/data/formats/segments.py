"""Test sets of WMT and IWSLT: two files with one `<seg id="N">` per line."""

import html
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from kotrans.data.formats.pairs import Pair, Skipped, one_line_each
from kotrans.data.formats.text_lines import text_lines
from kotrans.errors import DataError

_SEGMENT = re.compile(r"\s*<seg\s+id=[\"']?(?P<id>[^\"'>\s]{1,50})[\"']?\s*>(?P<text>.*)</seg>\s*", re.IGNORECASE)
_BEGIN = re.compile(r"\s*<seg[\s>]", re.IGNORECASE)
_MISSING = ("the end", "")


def read_segments(source: Path, target: Path, skipped: Skipped) -> Iterator[Pair]:
    """Reads the segments of both files, in order. Raises DataError if their ids differ."""
    for number, (korean, english) in enumerate(
        zip_longest(_segments(source, skipped), _segments(target, skipped), fillvalue=_MISSING), 1
    ):
        if korean[0] != english[0]:
            raise DataError(
                f"{source}: segment {number:,} is {korean[0]}, but {english[0]} in {target}; "
                "both files must have the same segments in the same order"
            )
        yield one_line_each(korean[1], english[1])


def _segments(path: Path, skipped: Skipped) -> Iterator[tuple[str, str]]:
    """Yields id and text of each segment."""
    for number, line in enumerate(text_lines(path, skipped), 1):
        if line is None:
            continue
        if found := _SEGMENT.fullmatch(line):
            yield f"id {found['id']}", html.unescape(found["text"]).strip()
        elif _BEGIN.match(line):
            skipped.reject("syntax", f"{path}:{number}", "a segment that does not end on its line")
