"""Answers from translations. What is large, attention, is made into JSON in the process that translates."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kotrans.serve.schemas import Attention
from kotrans.text.sentence_splitter import SplitText
from kotrans.text.subwords import word_spans, word_text
from kotrans.translation.copies import words_copied
from kotrans.translation.postprocess import TranslatedText, Translation
from kotrans.translation.word_alignment import word_weights

_DIGITS = 5  # of a weight


class TextResult(NamedTuple):
    """One translation of a line."""

    text: str
    score: float
    finished: bool
    attention: tuple[bytes, ...] | None
    """JSON of an `Attention` for each part."""


class LineResult(NamedTuple):
    """A line and its translations."""

    parts: int
    texts: tuple[TextResult, ...]


_BLANK = LineResult(0, (TextResult("", 0.0, True, None),))


def found_line(translation: Translation, attention: int) -> LineResult:
    """What of a translation is answered. attention: of so many of the best hypotheses the weights are."""
    return LineResult(
        translation.parts,
        tuple(
            TextResult(
                found.text, found.score, found.finished,
                tuple(part.model_dump_json().encode() for part in attention_of_parts(translation, found)) or None
                if rank < attention else None,
            )
            for rank, found in enumerate(translation.hypotheses)
        ),
    )  # fmt: skip


def attention_of_parts(translation: Translation, found: TranslatedText) -> Iterator[Attention]:
    """Returns the attention of each part of a translation; empty if the model has no attention."""
    row, column = 0, 0
    for weights in found.weights_of_parts:
        rows, columns = weights.shape  # (T, S)
        target, source = found.pieces[row : row + rows], translation.source_pieces[column : column + columns]
        copies = [copy.shifted(-row) for copy in found.copies if row <= copy.begin < row + rows]
        of_target, of_source = word_spans(target), word_spans(source)
        yield Attention.model_construct(
            source_pieces=list(source),
            target_pieces=list(target),
            weights=_rounded(weights.tolist()),
            source_words=[word_text(source[span.start : span.stop]) for span in of_source],
            target_words=words_copied(target, copies),
            word_weights=_rounded(word_weights(weights, of_target, of_source).tolist()),
        )
        row, column = row + rows, column + columns


def join_lines(text: SplitText, found: Iterator[LineResult], finish: Callable[[str], str] = str) -> LineResult:
    """The translations of a text from those of its lines, of which blank ones are not in `found`.

    The second best of a text is made of the second best of each line, and so on; a line that has fewer repeats its
    last one. finish: applied to each line.
    """
    lines = [next(found) if line.strip() else _BLANK for line in text.lines]
    parts = sum(line.parts for line in lines)
    texts: dict[str, TextResult] = {}
    for rank in range(max(len(line.texts) for line in lines)):
        chosen = [line.texts[min(rank, len(line.texts) - 1)] for line in lines]
        score = sum(each.score * line.parts for each, line in zip(chosen, lines, strict=True)) / max(parts, 1)
        attention = [part for each in chosen for part in each.attention or ()]
        complete = all(each.attention or not line.parts for each, line in zip(chosen, lines, strict=True))
        joined = TextResult(
            text.join([finish(each.text) for each in chosen]), score, all(each.finished for each in chosen),
            tuple(attention) if attention and complete else None,
        )  # fmt: skip
        texts.setdefault(joined.text, joined)
    return LineResult(parts, tuple(texts.values()))


def sentence_json(found: LineResult) -> Iterator[bytes]:
    """A `TranslatedSentence` in JSON, in pieces."""
    yield b'{"text":%b,"parts":%d,"hypotheses":[' % (_json(found.texts[0].text), found.parts)
    for rank, each in enumerate(found.texts):
        yield b'%b{"text":%b,"score":%b,"finished":%b,"attention":' % (
            b"," if rank else b"", _json(each.text), _json(each.score), _json(each.finished),
        )  # fmt: skip
        if each.attention is None:
            yield b"null}"
        else:
            for place, part in enumerate(each.attention):
                yield (b"," if place else b"[") + part
            yield b"]}"
    yield b"]}"


def response_json(sentences: Sequence[LineResult], rest: dict[str, object]) -> Iterator[bytes]:
    """A `TranslateResponse` in JSON, in pieces. rest: its other fields."""
    yield b'{"translations":['
    for place, found in enumerate(sentences):
        if place:
            yield b","
        yield from sentence_json(found)
    yield b"]," + _json(rest)[1:]


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _rounded(weights: list[list[float]]) -> list[list[float]]:
    return [[round(weight, _DIGITS) for weight in row] for row in weights]
