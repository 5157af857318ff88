"""Copies of source literals, applied to the text of a translation and to the words of its pieces.

Where a placeholder, address or piece of code of the source belongs in a translation that lacks or mangles it.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from torch import Tensor

from kotrans.text.literals import Literals, Token, opaque_spans
from kotrans.text.normalization import normalize
from kotrans.text.subwords import END, spelt, word_spans, word_text

_CLOSING = frozenset(".,;:!?)]}'\"’”")
_OPENING = frozenset("(['\"‘“")


class Copy(NamedTuple):
    """A literal or symbol of the source that replaces text of the model."""

    begin: int
    """The first of the pieces that spell what was replaced."""
    end: int
    """One past the last of them; equal to `begin` for an insertion."""
    said: str
    """The text of these pieces."""
    copied: str
    """Its replacement in the text."""

    def behind(self, pieces: int) -> "Copy":
        """The same copy in a translation that has so many pieces before."""
        return self._replace(begin=self.begin + pieces, end=self.end + pieces)


class Edit(NamedTuple):
    """A change of a text: characters from `begin` up to `end` become something else."""

    begin: int
    end: int
    copied: str


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text with edits that do not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.begin] + _spaced(text, edit) + text[edit.end :]
        if not edit.copied and text[edit.begin - 1 : edit.begin + 1] in ("  ", " "):
            text = text[: edit.begin - 1] + text[edit.begin :]
    return text.strip(" ")


def with_symbols(
    text: str, copies: Sequence[Copy], wrong: Sequence[tuple[str, str]], pieces: Sequence[str]
) -> tuple[str, list[Copy]]:
    """The text with wrong symbols, in order, replaced by others or removed, and all copies in the order of the pieces.

    pieces: those of the translation, in which a wrong symbol is spelt in bytes.
    """
    all_spelt, owners = spelt(pieces)
    replaced = {piece for copy in copies for piece in range(copy.begin, copy.end)}
    found, at = list(copies), 0
    for symbol, right in wrong:
        text = text.replace(symbol, right, 1)
        places = (i for i in range(at, len(owners)) if all_spelt[i] == symbol and owners[i] not in replaced)
        if (place := next(places, None)) is not None:  # None if NFC has changed what the bytes spell
            found.append(Copy(owners[place], owners[place] + len(symbol.encode()), symbol, right))
            at = place + 1
    return normalize(text), sorted(found)


def words_copied(pieces: Sequence[str], copies: Sequence[Copy]) -> list[str]:
    """Returns the words of the pieces with copies applied; a copy that replaces several words goes into the first."""
    text, owners = spelt(pieces)
    spans = word_spans(pieces)
    word_of_piece = [number for number, span in enumerate(spans) for _ in span]
    words = [word_of_piece[owner] for owner in owners]  # of each character
    ended = len(spans) - 1 if spans and pieces[-1] == END else len(spans)
    found, at = [], 0
    for copy in copies:
        begin, at = _place(copy, text, owners, at)
        found.append(Edit(begin, at, copy.copied))
    for edit in reversed(found):
        put = _spaced(text, edit)
        word = max(min(words[edit.begin] if edit.begin < len(words) else len(spans) - 1, ended - 1), 0)
        last = words[edit.end - 1] if edit.end > edit.begin else word
        rest = [word if each == last else each for each in words[edit.end :]]
        text = text[: edit.begin] + put + text[edit.end :]
        words = [*words[: edit.begin], *[word] * len(put), *rest]
    texts = [""] * len(spans)
    for character, word in zip(text, words, strict=True):
        texts[word] += character
    return [
        word_text(pieces[span.start : span.stop]) if pieces[span.start] == END else normalize(text)
        for span, text in zip(spans, texts, strict=True)
    ]


def _place(copy: Copy, text: str, owners: Sequence[int], at: int) -> tuple[int, int]:
    """Returns the range of a copy in the text of the pieces, searching from character `at`."""
    at = next((i for i in range(at, len(text)) if owners[i] >= copy.begin), len(text))
    wanted = copy.said.replace(" ", "")
    if not wanted:
        while at + 1 < len(text) and text[at].isspace() and owners[at + 1] == copy.begin:
            at += 1
        return at, at
    begin = end = text.find(wanted[0], at)
    for character in wanted:
        end = text.find(character, end) + 1
    return (begin, end) if begin >= 0 and end > begin else (at, at)


def _spaced(text: str, edit: Edit) -> str:
    """Returns the replacement text of an edit, with spaces around it if it is an insertion."""
    if edit.begin < edit.end:
        return edit.copied
    before, after = text[: edit.begin][-1:], text[edit.begin : edit.begin + 2]
    closes = after[:1] in _CLOSING and not after[1:].isalnum()
    left = "" if not before or before.isspace() or before in _OPENING else " "
    right = "" if not after or after[0].isspace() or closes else " "
    return f"{left}{edit.copied}{right}"


# Shape key: T target pieces, S source pieces.
_LIKE = 0.6
"""How like a literal words have to be that are a mangled one."""
_LOOKED = 0.1
"""How much of the attention of its pieces such a one has to have."""
_MOST_WORDS = 6  # of a mangled literal
_SHORTEST = 4  # characters of a literal that is looked for by likeness
_AROUND = "\"'“”‘’.,;:!?()"
_WORD = re.compile(r"\S+")


class Placed(NamedTuple):
    """A way to put a literal right."""

    sure: float
    edit: Edit
    token: Token | None
    """The literal of the source; None if a surplus one is taken out."""


def places(
    token: Token, columns: range, text: str, here: Literals, owners: Sequence[int], weights: Tensor
) -> Iterator[Placed]:
    """The places where an opaque literal of the source may be put, with the surest first.

    columns: its source pieces; owners: the piece of each character of the text; weights (T, S).
    """
    looked = weights[:, columns.start : columns.stop].sum(1).tolist()  # (T,)
    spread = r"\s*".join(re.escape(character) for character in token.text if not character.isspace())
    for found in re.finditer(spread, text):
        yield Placed(3.0, Edit(*found.span(), token.text), token)
    words = [(each.start(), each.end()) for each in _WORD.finditer(text)]
    if len(token.text) >= _SHORTEST:
        for first in range(len(words)):
            for last in range(first, min(first + _MOST_WORDS, len(words))):
                begin, end = _trimmed(text, words[first][0], words[last][1], token.text)
                like = _mangled(text[begin:end], token.text) if begin < end else 0.0
                if like >= _LIKE and _mean(looked, owners[begin:end]) >= _LOOKED:
                    yield Placed(1 + like, Edit(begin, end, token.text), token)
    for other in here.of("opaque"):
        weight = _mean(looked, owners[other.begin : other.end])
        yield Placed(0.5 + weight / 2, Edit(_with_sigil(text, other.begin), other.end, token.text), token)
    for sure, at in ((0.0, _peak(text, owners, looked)), (-0.5, _end(text)), (-0.6, len(text))):
        yield Placed(sure, Edit(at, at, token.text), token)  # the later ones where another literal is in the way


def insertion(
    token: Token, columns: range, text: str, owners: Sequence[int], weights: Tensor, least: float
) -> Iterator[Placed]:
    """The place before the word that attends most to a literal, if its attention is at least so high."""
    looked = weights[:, columns.start : columns.stop].sum(1).tolist()  # (T,)
    if max(looked) >= least:
        at = _peak(text, owners, looked)
        yield Placed(0.0, Edit(at, at, token.text), token)


def surplus(here: Literals, there: Literals) -> Iterator[Placed]:
    """The placeholders that a text has more often than its source, the last ones first."""
    count = here.counts.copy()
    for token in reversed(here.of("opaque")):
        if count[token.text] > there.counts[token.text] and _is_placeholder(token):
            count[token.text] -= 1
            yield Placed(-1.0, Edit(_with_sigil(here.line, token.begin), token.end, ""), None)


def _with_sigil(text: str, begin: int) -> int:
    """The offset of a placeholder with a stray % or $ before it, which would make another one of its replacement."""
    while begin and text[begin - 1] in "%$":
        begin -= 1
    return begin


def _is_placeholder(token: Token) -> bool:
    return any(span.kind == "placeholder" for span in opaque_spans(token.text))


def _peak(text: str, owners: Sequence[int], looked: Sequence[float]) -> int:
    """Returns the start of the word with the highest attention on the literal, or the end of the sentence."""
    best = max(range(len(looked)), key=lambda piece: looked[piece])
    at = next((i for i, owner in enumerate(owners) if owner >= best and not text[i].isspace()), None)
    if at is None:
        return _end(text)
    return at if text[at] in ".!?,;:" else text.rfind(" ", 0, at) + 1


def _end(text: str) -> int:
    """Where the words of a sentence end."""
    return len(text.rstrip(".!?。\"'”"))


def _trimmed(text: str, begin: int, end: int, literal: str) -> tuple[int, int]:
    """Without the punctuation around it that the literal does not have."""
    while begin < end and text[begin] in _AROUND and text[begin] != literal[0]:
        begin += 1
    while begin < end and text[end - 1] in _AROUND and text[end - 1] != literal[-1]:
        end -= 1
    return begin, end


def _mean(looked: Sequence[float], pieces: Sequence[int]) -> float:
    unique = set(pieces)
    return sum(looked[piece] for piece in unique) / len(unique)


def likeness(said: str, wanted: str, least: float = 0.0) -> float:
    """The share of characters that two texts have in common, in order and ignoring case (difflib's ratio).

    Returns 0 if it is below `least`, which is faster.
    """
    matcher = SequenceMatcher(None, said.casefold(), wanted.casefold(), autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= least else 0.0


def _mangled(said: str, wanted: str) -> float:
    """The likeness of words to the literal that they may be a mangled form of, without blanks."""
    said = "".join(said.split())
    return likeness(said, wanted, _LIKE) if len(wanted) / 2 <= len(said) <= 2 * len(wanted) else 0.0
