"""Translations as JSON."""

from typing import Any

from kotrans.translation.postprocess import TranslatedText, Translation


def translation_record(translation: Translation) -> dict[str, Any]:
    """A line with its hypotheses, the best first: text, score, log-probability, that of each piece, and copies."""
    return {
        "source": translation.source,
        "hypotheses": [_hypothesis(hypothesis) for hypothesis in translation.hypotheses],
    }


def _hypothesis(hypothesis: TranslatedText) -> dict[str, Any]:
    return {
        "text": hypothesis.text,
        "score": round(hypothesis.score, 6),
        "log_prob": round(hypothesis.log_prob, 6),
        "finished": hypothesis.finished,
        "pieces": [
            {"piece": piece, "log_prob": round(log_prob, 6)}
            for piece, log_prob in zip(hypothesis.pieces, hypothesis.token_log_probs, strict=True)
        ],
        "copies": [copy._asdict() for copy in hypothesis.copies],
    }
