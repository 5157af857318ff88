"""Applies copies of source literals to the text of a translation and to the words of its pieces."""

from collections.abc import Sequence
from typing import NamedTuple

from kotrans.text.normalization import normalize
from kotrans.text.subwords import END, spell_pieces, word_spans, word_text

_CLOSING = frozenset(".,;:!?)]}'\"’”")
_OPENING = frozenset("(['\"‘“")


class Copy(NamedTuple):
    """A literal or symbol of the source that replaces text of the model."""

    begin: int
    """First of the pieces whose text is replaced."""
    end: int
    """One past the last of them; equal to `begin` for an insertion."""
    said: str
    """The text of these pieces."""
    copied: str
    """Its replacement."""

    def shifted(self, pieces: int) -> "Copy":
        """Returns the same copy with its pieces moved by an offset."""
        return self._replace(begin=self.begin + pieces, end=self.end + pieces)


class Edit(NamedTuple):
    """Replaces the characters of a text from `begin` up to `end`."""

    begin: int
    end: int
    copied: str


def edited(text: str, edits: Sequence[Edit]) -> str:
    """Applies edits that do not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.begin] + _spaced(text, edit) + text[edit.end :]
        if not edit.copied and text[edit.begin - 1 : edit.begin + 1] in ("  ", " "):
            text = text[: edit.begin - 1] + text[edit.begin :]
    return text.strip(" ")


def with_symbols(
    text: str, copies: Sequence[Copy], wrong: Sequence[tuple[str, str]], pieces: Sequence[str]
) -> tuple[str, list[Copy]]:
    """Replaces wrong symbols. Returns the text and all copies in the order of the pieces.

    wrong: symbols in order, each with its replacement ("" removes it). pieces: those of the translation, which spell
    wrong symbols in bytes.
    """
    characters, owners = spell_pieces(pieces)
    replaced = {piece for copy in copies for piece in range(copy.begin, copy.end)}
    found, start = list(copies), 0
    for symbol, right in wrong:
        text = text.replace(symbol, right, 1)
        places = (i for i in range(start, len(owners)) if characters[i] == symbol and owners[i] not in replaced)
        if (place := next(places, None)) is not None:  # None if NFC changed the character that the bytes spell
            found.append(Copy(owners[place], owners[place] + len(symbol.encode()), symbol, right))
            start = place + 1
    return normalize(text), sorted(found)


def words_copied(pieces: Sequence[str], copies: Sequence[Copy]) -> list[str]:
    """Returns the words of the pieces with copies applied; a copy that replaces several words goes into the first."""
    text, owners = spell_pieces(pieces)
    spans = word_spans(pieces)
    word_of_piece = [number for number, span in enumerate(spans) for _ in span]
    words = [word_of_piece[owner] for owner in owners]  # of each character
    ended = len(spans) - 1 if spans and pieces[-1] == END else len(spans)
    edits, end = [], 0
    for copy in copies:
        begin, end = _characters(copy, text, owners, end)
        edits.append(Edit(begin, end, copy.copied))
    for edit in reversed(edits):
        new = _spaced(text, edit)
        word = max(min(words[edit.begin] if edit.begin < len(words) else len(spans) - 1, ended - 1), 0)
        last = words[edit.end - 1] if edit.end > edit.begin else word
        rest = [word if each == last else each for each in words[edit.end :]]
        text = text[: edit.begin] + new + text[edit.end :]
        words = [*words[: edit.begin], *[word] * len(new), *rest]
    texts = [""] * len(spans)
    for character, word in zip(text, words, strict=True):
        texts[word] += character
    return [
        word_text(pieces[span.start : span.stop]) if pieces[span.start] == END else normalize(text)
        for span, text in zip(spans, texts, strict=True)
    ]


def _characters(copy: Copy, text: str, owners: Sequence[int], start: int) -> tuple[int, int]:
    """Returns the range of characters that a copy replaces in the text of the pieces, from `start` on."""
    start = next((i for i in range(start, len(text)) if owners[i] >= copy.begin), len(text))
    replaced = copy.said.replace(" ", "")
    if not replaced:
        while start + 1 < len(text) and text[start].isspace() and owners[start + 1] == copy.begin:
            start += 1
        return start, start
    begin = end = text.find(replaced[0], start)
    for character in replaced:
        end = text.find(character, end) + 1
    return (begin, end) if begin >= 0 and end > begin else (start, start)


def _spaced(text: str, edit: Edit) -> str:
    """Returns the new text of an edit, with spaces around it if it is an insertion."""
    if edit.begin < edit.end:
        return edit.copied
    before, after = text[: edit.begin][-1:], text[edit.begin : edit.begin + 2]
    closes = after[:1] in _CLOSING and not after[1:].isalnum()
    left = "" if not before or before.isspace() or before in _OPENING else " "
    right = "" if not after or after[0].isspace() or closes else " "
    return f"{left}{edit.copied}{right}"
