"""Responses of POST /translate. Workers serialise attention weights, so that the listening process only joins bytes."""

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


class HypothesisResult(NamedTuple):
    """One translation of a line or text."""

    text: str
    score: float
    finished: bool
    attention: tuple[bytes, ...] | None
    """JSON of an `Attention` per part."""


class LineResult(NamedTuple):
    """The translations of a line or text, best first."""

    parts: int
    hypotheses: tuple[HypothesisResult, ...]


_BLANK = LineResult(0, (HypothesisResult("", 0.0, True, None),))


def line_result(translation: Translation, with_attention: int) -> LineResult:
    """Returns the result of a line, with the attention weights of the first `with_attention` hypotheses."""
    return LineResult(
        translation.parts,
        tuple(
            HypothesisResult(
                found.text, found.score, found.finished,
                tuple(part.model_dump_json().encode() for part in attention_of_parts(translation, found)) or None
                if rank < with_attention else None,
            )
            for rank, found in enumerate(translation.hypotheses)
        ),
    )  # fmt: skip


def attention_of_parts(translation: Translation, found: TranslatedText) -> Iterator[Attention]:
    """Yields the attention of each part of a translation; nothing if the model has no attention."""
    row, column = 0, 0
    for weights in found.weights_of_parts:
        rows, columns = weights.shape  # (T, S)
        target, source = found.pieces[row : row + rows], translation.source_pieces[column : column + columns]
        copies = [copy.shifted(-row) for copy in found.copies if row <= copy.begin < row + rows]
        target_spans, source_spans = word_spans(target), word_spans(source)
        yield Attention.model_construct(
            source_pieces=list(source),
            target_pieces=list(target),
            weights=_rounded(weights.tolist()),
            source_words=[word_text(source[span.start : span.stop]) for span in source_spans],
            target_words=words_copied(target, copies),
            word_weights=_rounded(word_weights(weights, target_spans, source_spans).tolist()),
        )
        row, column = row + rows, column + columns


def join_lines(text: SplitText, results: Iterator[LineResult], finish: Callable[[str], str] = str) -> LineResult:
    """Returns the result of a text from those of its lines; `results` has none for blank lines.

    The second hypothesis of a text consists of the second of each line, and so on; a line with fewer hypotheses repeats
    its last one. finish: applied to each translated line.
    """
    lines = [next(results) if line.strip() else _BLANK for line in text.lines]
    parts = sum(line.parts for line in lines)
    hypotheses: dict[str, HypothesisResult] = {}
    for rank in range(max(len(line.hypotheses) for line in lines)):
        chosen = [line.hypotheses[min(rank, len(line.hypotheses) - 1)] for line in lines]
        score = sum(each.score * line.parts for each, line in zip(chosen, lines, strict=True)) / max(parts, 1)
        attention = [part for each in chosen for part in each.attention or ()]
        complete = all(each.attention or not line.parts for each, line in zip(chosen, lines, strict=True))
        joined = HypothesisResult(
            text.join([finish(each.text) for each in chosen]), score, all(each.finished for each in chosen),
            tuple(attention) if attention and complete else None,
        )  # fmt: skip
        hypotheses.setdefault(joined.text, joined)
    return LineResult(parts, tuple(hypotheses.values()))


def response_json(results: Sequence[LineResult], fields: dict[str, object]) -> Iterator[bytes]:
    """Yields the JSON of a `TranslateResponse` in chunks. fields: those other than `translations`."""
    yield b'{"translations":['
    for number, result in enumerate(results):
        if number:
            yield b","
        yield from _sentence_json(result)
    yield b"]," + _json(fields)[1:]


def _sentence_json(result: LineResult) -> Iterator[bytes]:
    """Yields the JSON of a `TranslatedSentence` in chunks."""
    yield b'{"text":%b,"parts":%d,"hypotheses":[' % (_json(result.hypotheses[0].text), result.parts)
    for rank, each in enumerate(result.hypotheses):
        yield b'%b{"text":%b,"score":%b,"finished":%b,"attention":' % (
            b"," if rank else b"", _json(each.text), _json(each.score), _json(each.finished),
        )  # fmt: skip
        if each.attention is None:
            yield b"null}"
        else:
            for number, part in enumerate(each.attention):
                yield (b"," if number else b"[") + part
            yield b"]}"
    yield b"]}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _rounded(weights: list[list[float]]) -> list[list[float]]:
    return [[round(weight, _DIGITS) for weight in row] for row in weights]
