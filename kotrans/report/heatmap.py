"""Attention weights as a JSON record and as a heat map."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kotrans.text.subwords import byte_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Shape key: T target pieces, S source pieces.
_CELL = 0.36  # inches per weight
_MOST_INCHES = 40.0  # per side: cells and letters of longer sentences shrink


def attention_record(
    source: str, translation: str, source_pieces: Sequence[str], target_pieces: Sequence[str], weights: ArrayLike
) -> dict[str, Any]:
    """Returns a JSON object of the attention of one line, with weights (T, S) rounded to six digits."""
    values = _checked(source_pieces, target_pieces, weights)
    return {
        "source": source,
        "translation": translation,
        "source_pieces": list(source_pieces),
        "target_pieces": list(target_pieces),
        "weights": [[round(value, 6) for value in row] for row in values.tolist()],
    }


def numbered(path: Path, count: int) -> list[Path]:
    """Returns `count` paths: the path itself if it is one, otherwise name-1.png, name-2.png, …"""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def draw(
    path: Path, source_pieces: Sequence[str], target_pieces: Sequence[str], weights: ArrayLike, title: str = ""
) -> None:
    """Draws weights (T, S) as a PNG or SVG file, with target pieces as rows and source pieces as columns.

    The title can have several lines. The word marker ▁ is drawn as _, which every font has. Byte pieces that spell one
    character are drawn as that character: its weight is their sum in the source, their mean in the target. Raises
    UsageError for another file type, KotransError if the Korean font is missing.
    """
    from kotrans.report.style import check_picture, drawable, drawing, save

    check_picture(path)
    values = _checked(source_pieces, target_pieces, weights)
    columns, columns_of = _join_bytes(source_pieces)
    rows, rows_of = _join_bytes(target_pieces)
    joined = rows_of.T @ values @ columns_of / rows_of.sum(0)[:, None]  # (T', S')
    *labels, title = drawable([*(label.replace("▁", "_") for label in (*columns, *rows)), title])
    with drawing():
        save(_figure(labels[: len(columns)], labels[len(columns) :], joined, title.split("\n")), path)


def _figure(columns: list[str], rows: list[str], values: NDArray[np.float64], title: list[str]) -> "Figure":
    from matplotlib.figure import Figure

    cell = min(_CELL, _MOST_INCHES / max(values.shape))
    width, height = cell * len(columns), cell * len(rows)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))  # labels, title and scale are outside; the tight bounding box includes them
    # Cells are rasterized in an SVG too: a long sentence has thousands. imshow would resample them, which is slow.
    image = axes.pcolormesh(values, cmap="Blues", vmin=0, edgecolors="0.92", linewidth=0.5, rasterized=True)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    # parse_math=False: a dollar sign does not begin a formula.
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, columns, rotation=60, ha="left", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, parse_math=False)
    axes.tick_params(labelsize=72 * cell * 0.45, length=0)
    bar_height = min(height, 3.0)
    bar = figure.add_axes((1 + 0.25 / width, 1 - bar_height / height, 0.15 / width, bar_height / height))
    figure.colorbar(image, cax=bar).set_label("attention weight α", fontsize=9)
    bar.tick_params(labelsize=8)
    lines = [part for line in title for part in _wrapped(line, most=int(max(width, 4) * 13))]
    axes.set_title("\n".join(lines), fontsize=11, loc="left", pad=12, parse_math=False)
    return figure


def _wrapped(line: str, most: int) -> list[str]:
    """Wraps into at most three lines of the width of about `most` Latin letters; a Korean letter is twice as wide."""
    width = sum(2 if east_asian_width(character) in "WF" else 1 for character in line)
    return textwrap.wrap(line, max(1, most * len(line) // width), max_lines=3, placeholder=" …") if line else []


def _checked(source_pieces: Sequence[str], target_pieces: Sequence[str], weights: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(weights, dtype=np.float64)  # (T, S)
    if values.shape != (len(target_pieces), len(source_pieces)):
        raise ValueError(
            f"weights {values.shape} for {len(target_pieces)} target and {len(source_pieces)} source pieces"
        )
    return values


def _join_bytes(pieces: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Returns labels, with byte pieces joined into characters, and their membership matrix (pieces, labels)."""
    labels: list[str] = []
    starts: list[int] = []
    at = 0
    while at < len(pieces):
        character, length = _spelt_character(pieces[at : at + 4])
        labels.append(character)
        starts.append(at)
        at += length
    membership = np.zeros((len(pieces), len(labels)))
    for label, (start, end) in enumerate(zip(starts, [*starts[1:], len(pieces)], strict=True)):
        membership[start:end, label] = 1
    return labels, membership


def _spelt_character(pieces: Sequence[str]) -> tuple[str, int]:
    """Returns the printable character that the first pieces spell in bytes, and their number; or one piece and 1."""
    spelt = bytearray()
    for piece in pieces:
        if (byte := byte_of(piece)) is None:
            break
        spelt.append(byte)
        try:
            character = spelt.decode()
        except UnicodeDecodeError:
            continue
        if character.isprintable():
            return character, len(spelt)
        break
    return pieces[0], 1
