"""Writes the attention weights of translations while they are passed on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from kotrans.errors import ModelError, UsageError
from kotrans.report.heatmap import attention_record, draw, numbered
from kotrans.storage.files import new_file
from kotrans.translation.postprocess import Translation
from kotrans.translation.word_alignment import word_alignment

_MOST_PICTURES = 20


def write_attention(path: Path, translations: Iterator[Translation]) -> Iterator[Translation]:
    """Yields the translations and writes the attention weights of the best hypothesis of each.

    .jsonl has a record per line, .pharaoh a word alignment per line; .png and .svg are a heat map per line. Raises
    UsageError for another file type or too many pictures, ModelError if the model has no attention.
    """
    kind = path.suffix.lower()
    if kind == ".jsonl":
        return _write_lines(path, translations, lambda each: json.dumps(_record(each), ensure_ascii=False))
    if kind == ".pharaoh":
        return _write_lines(path, translations, pharaoh)
    if kind not in (".png", ".svg"):
        raise UsageError(f"{path}: attention is written as .jsonl, .pharaoh, .png or .svg; change the file name")
    return _draw_all(path, translations)


def pharaoh(translation: Translation) -> str:
    """Returns the word alignment of the best hypothesis as `0-0 1-2` (source-target); "" without attention."""
    best = translation.hypotheses[0]
    weights = best.weights
    if weights is None:
        return ""
    pairs = word_alignment(translation.source_pieces, best.pieces, weights)
    return " ".join(f"{source}-{target}" for source, target in pairs)


def _write_lines(
    path: Path, translations: Iterator[Translation], line: Callable[[Translation], str]
) -> Iterator[Translation]:
    with new_file(path) as scratch, scratch.open("w", encoding="utf-8", newline="\n") as file:
        for translation in translations:
            _check(translation)
            file.write(line(translation) + "\n")
            yield translation


def _record(translation: Translation) -> dict[str, object]:
    best = translation.hypotheses[0]
    weights = best.weights
    values: ArrayLike = np.zeros((0, 0)) if weights is None else weights.tolist()
    return attention_record(translation.source, best.text, translation.source_pieces, best.pieces, values)


def _draw_all(path: Path, translations: Iterator[Translation]) -> Iterator[Translation]:
    passed, shown = [], list[Translation]()
    for translation in translations:
        passed.append(translation)
        shown += [translation] if translation.source_pieces else []
        if len(shown) > _MOST_PICTURES:
            raise UsageError(
                f"{path}: too many lines to draw a picture of each (at most {_MOST_PICTURES}); write .jsonl instead"
            )
    for picture, translation in zip(numbered(path, len(shown)), shown, strict=True):
        best = translation.hypotheses[0]
        _check(translation)
        weights = best.weights
        assert weights is not None
        draw(picture, translation.source_pieces, best.pieces, weights, title=f"{translation.source}\n{best.text}")
    yield from passed


def _check(translation: Translation) -> None:
    if translation.source_pieces and not translation.hypotheses[0].weights_of_parts:
        raise ModelError("this run has no attention weights to write: it was trained with attention.score `none`")
