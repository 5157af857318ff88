"""Answers from translations."""

from collections.abc import Sequence

from kotrans.assembly import TranslatedText, Translation
from kotrans.copies import words_copied
from kotrans.serve.batcher import Job
from kotrans.serve.messages import Attention, Hypothesis, TranslatedSentence, TranslateResponse
from kotrans.words import word_spans, word_text, word_weights

_DIGITS = 5  # of a weight


def answer(translations: Sequence[Translation], job: Job, model: str, *, attention: bool) -> TranslateResponse:
    """The answer to a job that is done."""
    return TranslateResponse(
        translations=[_sentence(translation, attention) for translation in translations],
        model=model,
        beam=job.beam,
        waited_seconds=round(job.started - job.created, 6),
        translated_seconds=round(job.ended - job.started, 6),
    )


def _sentence(translation: Translation, attention: bool) -> TranslatedSentence:
    return TranslatedSentence(
        text=translation.text,
        parts=translation.parts,
        hypotheses=[
            Hypothesis(
                text=found.text, score=found.score, finished=found.finished,
                attention=_attention(translation.source_pieces, found) if attention else None,
            )
            for found in translation.hypotheses
        ],
    )  # fmt: skip


def _attention(source: Sequence[str], found: TranslatedText) -> Attention | None:
    weights, target = found.weights, found.pieces
    if weights is None or not target:
        return None
    rows, columns = word_spans(target), word_spans(source)
    return Attention(
        source_pieces=list(source),
        target_pieces=list(target),
        weights=_rounded(weights.tolist()),
        source_words=[word_text(source[span.start : span.stop]) for span in columns],
        target_words=words_copied(target, found.copies),
        word_weights=_rounded(word_weights(weights, rows, columns).tolist()),
    )


def _rounded(weights: list[list[float]]) -> list[list[float]]:
    return [[round(weight, _DIGITS) for weight in row] for row in weights]
