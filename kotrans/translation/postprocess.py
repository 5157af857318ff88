"""From what a search finds for the parts of a line to the line's translations.

Translations as JSON.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kotrans.config.schema import Copying, SearchConfig
from kotrans.data.tokenizer import Tokenizer
from kotrans.search.hypotheses import Hypothesis
from kotrans.text.literals import Literals, lost
from kotrans.text.normalization import normalize
from kotrans.text.passthrough import wrong_symbols
from kotrans.translation.copies import Copy, with_symbols
from kotrans.translation.source_copying import KINDS, SourceLiterals, copy_over


@dataclass(frozen=True)
class TranslatedText:
    """One translation of a line."""

    text: str
    score: float  # the log-probability as `search` normalises it, the mean of all parts
    log_prob: float
    pieces: tuple[str, ...]  # with "</s>" if the translation is finished
    token_log_probs: tuple[float, ...]  # of each piece
    weights_of_parts: tuple[Tensor, ...]  # attention weights of each part; none with a fixed context
    finished: bool  # false if it was cut at the maximum length
    copies: tuple[Copy, ...]  # literals of the source that stand in `text` for what some of the pieces spell

    @property
    def weights(self) -> Tensor | None:
        """(pieces, source pieces) attention weights; no part looked at another's source, so those are 0.

        Made when asked for: of a line of many sentences they are many more than those of its parts.
        """
        return torch.block_diag(*self.weights_of_parts) if self.weights_of_parts else None


@dataclass(frozen=True)
class Translation:
    """A line and its translations, the best first.

    A blank line has one, which is blank; a line that was passed through has one, the line itself, of score 0.
    """

    source: str
    source_pieces: tuple[str, ...]  # with "</s>" at the end of each part
    hypotheses: tuple[TranslatedText, ...]  # of different texts
    # Sentences, and pieces of those longer than what the model saw in training; 0 if nothing was translated.
    parts: int
    cut: bool = False  # true if there is such a long sentence
    left_out: tuple[str, ...] = ()  # symbols and letters of the source that its vocabulary and the translation lack

    @property
    def text(self) -> str:
        return self.hypotheses[0].text


def packed(translation: Translation) -> Translation:
    """The translation as it is sent to another process, which unpacks it: with arrays instead of tensors.

    Tensors would be sent through shared memory, each in a file.
    """
    return _with_weights(translation, lambda weights: weights.numpy())


def unpacked(translation: Translation) -> Translation:
    """What was packed."""
    return _with_weights(translation, torch.from_numpy)


def _with_weights(translation: Translation, change: Callable[[Any], Any]) -> Translation:
    changed = [
        replace(each, weights_of_parts=tuple(map(change, each.weights_of_parts))) for each in translation.hypotheses
    ]
    return replace(translation, hypotheses=tuple(changed))


class LinePart(NamedTuple):
    """What of a line is translated by itself."""

    ids: Sequence[int]
    space: str  # between it and the next part


class PreparedLine(NamedTuple):
    """A line before it is translated."""

    line: str
    parts: Sequence[LinePart]  # none of a blank line
    cut: bool  # whether there is a sentence of several parts
    passed: Sequence[str] = ()  # untranslated text before each part, and behind the last one; none is no such text
    outside: Sequence[str] = ()  # symbols and letters of other scripts that the vocabulary lacks


_BLANK = TranslatedText("", 0.0, 0.0, (), (), (), finished=True, copies=())


class Postprocessor:
    """Spells hypotheses, ranks them, and copies into them what they misspell."""

    def __init__(self, tokenizer: Tokenizer, config: SearchConfig) -> None:
        self._tokenizer = tokenizer
        self._config = config

    def searched(self, part: LinePart, n_best: int, beam: int) -> int:
        """How many hypotheses of a part `assemble` needs for so many translations.

        The whole beam where the source has a literal, which the best hypothesis may lack and another one have.
        """
        ranked = (
            self._config.verbatim_penalty > 0 and n_best < beam and _SourcePart(part, self._tokenizer).literals.firm
        )
        return beam if ranked else n_best

    def assemble(self, prepared: PreparedLine, found: Sequence[Sequence[Hypothesis]], n_best: int) -> Translation:
        """The n best translations of a line from what was found for each of its parts, best first."""
        parts = [_SourcePart(part, self._tokenizer) for part in prepared.parts]
        ranked = [self._ranked(part, hypotheses) for part, hypotheses in zip(parts, found, strict=True)]
        return _translation(prepared, parts, zip(*ranked, strict=False), n_best)  # a part may have fewer than others

    def as_given(self, prepared: PreparedLine, found: Sequence[Hypothesis]) -> Translation:
        """The translation that was given for a line, the hypotheses of its parts as they are."""
        parts = [_SourcePart(part, self._tokenizer) for part in prepared.parts]
        said = tuple(_HypothesisText(part, each, copying="none") for part, each in zip(parts, found, strict=True))
        return _translation(prepared, parts, iter([said]), 1)

    def _ranked(self, part: "_SourcePart", hypotheses: Sequence[Hypothesis]) -> Iterator["_HypothesisText"]:
        """The hypotheses of a part, the best first: by score less the penalty for each literal that they lack.

        What the model itself produced counts, before anything is copied: a hypothesis that is right ranks higher than
        one that has to be put right. Finished ones rank before those that were cut.
        """
        said = (_HypothesisText(part, each, copying=self._config.copying) for each in hypotheses)
        penalty = self._config.verbatim_penalty
        first = next(said)
        if not first.finished or (penalty and first.lost):
            yield from sorted([first, *said], key=lambda each: each.rank(penalty))
        else:  # no other one can rank higher, and mostly none is asked for
            yield first
            yield from sorted(said, key=lambda each: each.rank(penalty))


class _SourcePart:
    """The source of a part, spelt."""

    def __init__(self, part: LinePart, tokenizer: Tokenizer) -> None:
        self.space = part.space
        self._ids = part.ids
        self.tokenizer = tokenizer

    @cached_property
    def pieces(self) -> list[str]:
        return [*self.tokenizer.source.pieces(self._ids), "</s>"]

    @cached_property
    def literals(self) -> Literals:
        return Literals(self.tokenizer.source.decode(self._ids))

    @cached_property
    def source(self) -> SourceLiterals:
        return SourceLiterals(self.pieces)


class _HypothesisText:
    """A hypothesis of a part, spelt."""

    def __init__(self, part: _SourcePart, hypothesis: Hypothesis, *, copying: Copying) -> None:
        vocabulary = part.tokenizer.target
        self.part = part
        self.hypothesis = hypothesis
        self.finished, self.score = hypothesis.finished, hypothesis.score
        self.pieces = [*vocabulary.pieces(hypothesis.ids), *(["</s>"] if hypothesis.finished else [])]
        self._copying: Copying = copying

    @cached_property
    def plain(self) -> str:
        """The text of the pieces. A model that spells bytes may spell a line end or a control character, too."""
        return normalize(self.part.tokenizer.target.decode(self.hypothesis.ids))

    @cached_property
    def copied(self) -> tuple[str, list[Copy]]:
        """The text with literals and symbols of the source, and what was copied."""
        weights = self.hypothesis.weights
        if not KINDS[self._copying]:
            return self.plain, []
        text, copies = self.plain, list[Copy]()
        if weights is not None and self.part.literals.firm:
            text, copies = copy_over(text, self.part.source, self.pieces, weights, self._copying)
        wrong = wrong_symbols(text, self.part.literals.line, self.part.tokenizer.target.has)
        return with_symbols(text, copies, wrong, self.pieces) if wrong else (text, copies)

    @cached_property
    def lost(self) -> int:
        """How many literals of the source the text of the pieces lacks."""
        return len(lost(self.part.literals, Literals(self.plain))) if self.part.literals.firm else 0

    def rank(self, penalty: float) -> tuple[bool, float]:
        """The smaller, the better."""
        return not self.finished, (penalty * self.lost if penalty else 0.0) - self.score


def _translation(
    prepared: PreparedLine, parts: Sequence[_SourcePart], ranked: Iterator[tuple[_HypothesisText, ...]], n_best: int
) -> Translation:
    if not parts:
        return Translation(prepared.line, (), (replace(_BLANK, text="".join(prepared.passed).strip(" ")),), 0)
    pieces = [piece for part in parts for piece in part.pieces]
    best: dict[str, TranslatedText] = {}  # other pieces may spell the same text, more so after copying
    for said in ranked:
        joined = _join(said, prepared.passed)
        best.setdefault(joined.text, joined)
        if len(best) == n_best:
            break
    found = tuple(best.values())
    left_out = tuple(each for each in prepared.outside if each not in found[0].text)
    return Translation(prepared.line, tuple(pieces), found, len(parts), prepared.cut, left_out)


def _join(parts: Sequence[_HypothesisText], passed: Sequence[str]) -> TranslatedText:
    """Joins the translations of the parts with the text that was passed through between them."""
    hypotheses = [each.hypothesis for each in parts]
    before, *behind = passed or [""] * (len(parts) + 1)
    text, pieces, copies = before, list[str](), list[Copy]()
    for each, untranslated in zip(parts, behind, strict=True):
        said, copied = each.copied
        text += (said and said + each.part.space) + untranslated
        copies += [copy.behind(len(pieces)) for copy in copied]
        pieces += each.pieces
    return TranslatedText(
        text=text.strip(" "),
        score=sum(each.score for each in hypotheses) / len(hypotheses),
        log_prob=sum(each.log_prob for each in hypotheses),
        pieces=tuple(pieces),
        token_log_probs=tuple(value for each in hypotheses for value in each.token_log_probs),
        weights_of_parts=tuple(each.weights for each in hypotheses if each.weights is not None),
        finished=all(each.finished for each in hypotheses),
        copies=tuple(copies),
    )


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
