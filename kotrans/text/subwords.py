"""Words and characters from the subword pieces that spell them."""

import re
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise

from kotrans.text.normalization import normalize

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
END = "</s>"


def byte_of(piece: str) -> int | None:
    """The byte that a piece spells; None for a piece of text."""
    byte = _BYTE.fullmatch(piece)
    return None if byte is None else int(byte[1], 16)


def word_spans(pieces: Sequence[str]) -> list[range]:
    """The pieces of each word, in order and without a gap.

    A word begins with "▁", but not right after a "▁" that has nothing behind it yet; "</s>" stands alone.
    """
    begins: list[int] = []
    for i, piece in enumerate(pieces):
        before = pieces[i - 1] if i else END
        if END in (piece, before) or (piece.startswith("▁") and before != "▁"):
            begins.append(i)
    return [range(begin, end) for begin, end in pairwise([*begins, len(pieces)])]


def word_text(pieces: Sequence[str]) -> str:
    """The text that the pieces of a word make up; bytes that spell no character are U+FFFD."""
    data = b"".join(
        piece.replace("▁", " ").encode() if (byte := byte_of(piece)) is None else bytes([byte]) for piece in pieces
    )
    return normalize(data.decode(errors="replace"))


def spelt(pieces: Sequence[str]) -> tuple[str, list[int]]:
    """The text of the pieces, and for each character the number of the piece that it is from or begins with."""
    text, owners = "", []
    for is_byte, run in groupby(enumerate(pieces), lambda each: byte_of(each[1]) is not None):
        spelling = list(run)
        if is_byte:
            spelling = _from_bytes(spelling)
        for number, piece in spelling:
            part = " " if piece == END else piece.replace("▁", " ")
            text += part
            owners += [number] * len(part)
    return text, owners


def _from_bytes(spelling: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The characters that a run of bytes spells; if one is none, all belong to the first byte."""
    data = bytes(byte for _, piece in spelling if (byte := byte_of(piece)) is not None)
    try:
        characters = list(data.decode())
    except UnicodeDecodeError:
        return [(spelling[0][0], data.decode(errors="replace"))]
    begins = accumulate((len(character.encode()) for character in characters), initial=0)
    return [(spelling[begin][0], character) for begin, character in zip(begins, characters, strict=False)]


def owners_of(text: str, pieces: Sequence[str]) -> list[int] | None:
    """For each character of the normalised text of the pieces the number of its piece, and of a blank that of the next.

    None if the text has characters that the pieces do not spell in this order, as after an entity.
    """
    spelling, owners = spelt(pieces)
    found, at = [], 0
    for character in text:
        if not character.isspace():
            at = spelling.find(character, at) + 1
            if not at:
                return None
        found.append(owners[min(max(at - 1, 0) if not character.isspace() else at, len(owners) - 1)] if owners else 0)
    return found
