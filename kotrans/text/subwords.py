"""Conversion of subword pieces to words and characters."""

import re
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise

from kotrans.text.normalization import normalize

END = "</s>"
"""The piece that ends a sentence."""
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def byte_of(piece: str) -> int | None:
    """Returns the value of a byte piece such as `<0xEB>`; None for any other piece."""
    byte = _BYTE.fullmatch(piece)
    return None if byte is None else int(byte[1], 16)


def word_spans(pieces: Sequence[str]) -> list[range]:
    """Returns the indices of the pieces of each word, in order and without gaps.

    A word begins with "▁", except directly after a piece that is only "▁". "</s>" is a word of its own.
    """
    begins: list[int] = []
    for i, piece in enumerate(pieces):
        before = pieces[i - 1] if i else END
        if END in (piece, before) or (piece.startswith("▁") and before != "▁"):
            begins.append(i)
    return [range(begin, end) for begin, end in pairwise([*begins, len(pieces)])]


def word_text(pieces: Sequence[str]) -> str:
    """Returns the text of the pieces of a word; bytes that are not valid UTF-8 become U+FFFD."""
    data = b"".join(
        piece.replace("▁", " ").encode() if (byte := byte_of(piece)) is None else bytes([byte]) for piece in pieces
    )
    return normalize(data.decode(errors="replace"))


def spell_pieces(pieces: Sequence[str]) -> tuple[str, list[int]]:
    """Returns the text of the pieces, and for each character the index of the piece that contains or begins it."""
    text, owners = "", []
    for is_byte, group in groupby(enumerate(pieces), lambda item: byte_of(item[1]) is not None):
        numbered = list(group)
        for number, piece in _from_bytes(numbered) if is_byte else numbered:
            part = " " if piece == END else piece.replace("▁", " ")
            text += part
            owners += [number] * len(part)
    return text, owners


def _from_bytes(numbered: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Decodes a run of byte pieces into numbered characters; invalid UTF-8 is attributed to the first byte."""
    data = bytes(byte for _, piece in numbered if (byte := byte_of(piece)) is not None)
    try:
        characters = list(data.decode())
    except UnicodeDecodeError:
        return [(numbered[0][0], data.decode(errors="replace"))]
    begins = accumulate((len(character.encode()) for character in characters), initial=0)
    return [(numbered[begin][0], character) for begin, character in zip(begins, characters, strict=False)]


def piece_indices(text: str, pieces: Sequence[str]) -> list[int] | None:
    """Returns for each character of the normalized text of the pieces the index of its piece.

    A space belongs to the piece of the next character. Returns None if the text has characters that the pieces do not
    spell in this order, for example after an HTML entity was replaced.
    """
    spelling, owners = spell_pieces(pieces)
    found, position = [], 0
    for character in text:
        is_space = character.isspace()
        if not is_space:
            position = spelling.find(character, position) + 1
            if not position:
                return None
        index = position if is_space else position - 1
        found.append(owners[min(index, len(owners) - 1)] if owners else 0)
    return found
