"""Makes translations of lines from the hypotheses of their parts: detokenizes, ranks, copies literals, and joins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kotrans.config.schema import Copying, SearchConfig
from kotrans.data.tokenizer import Tokenizer
from kotrans.engine.stepper import Weights
from kotrans.search.constraints import FREE, Constraints
from kotrans.search.hypotheses import Hypothesis
from kotrans.text.literals import Literals, missing_literals
from kotrans.text.normalization import normalize
from kotrans.text.passthrough import wrong_symbols
from kotrans.text.subwords import END
from kotrans.translation.copies import Copy, with_symbols
from kotrans.translation.source_copying import KINDS, SourceLiterals, copy_literals


@dataclass(frozen=True)
class TranslatedText:
    """One translation of a line."""

    text: str
    score: float
    """Length-normalised log-probability, as the search ranks hypotheses; the mean over the parts."""
    log_prob: float
    pieces: tuple[str, ...]
    """Target pieces, with "</s>" at the end of each finished part."""
    token_log_probs: tuple[float, ...]
    """Of each piece."""
    weights_of_parts: tuple[Weights, ...]
    """Attention weights (T, S) of each part; empty for a model without attention."""
    finished: bool
    """False if a part was cut at the maximum length."""
    copies: tuple[Copy, ...]
    """Literals of the source that replace, in `text`, what some of the pieces spell."""

    @property
    def weights(self) -> Weights | None:
        """Attention weights (pieces, source pieces), 0 between different parts; None for a model without attention.

        Computed on each access: the matrix of a line of many sentences is much larger than those of its parts.
        """
        if not self.weights_of_parts:
            return None
        whole = np.zeros(np.sum([each.shape for each in self.weights_of_parts], axis=0), np.float32)
        row = column = 0
        for each in self.weights_of_parts:
            whole[row : row + each.shape[0], column : column + each.shape[1]] = each
            row, column = row + each.shape[0], column + each.shape[1]
        return whole


@dataclass(frozen=True)
class Translation:
    """A line and its translations.

    A blank line has one, which is blank; a line that was passed through has one, the line itself, with score 0.
    """

    source: str
    source_pieces: tuple[str, ...]
    """With "</s>" at the end of each part."""
    hypotheses: tuple[TranslatedText, ...]
    """Best first, with different texts."""
    parts: int
    """Number of sentences, or of chunks of sentences longer than any in training; 0 if nothing was translated."""
    cut: bool = False
    """True if the line has such a long sentence."""
    left_out: tuple[str, ...] = ()
    """Symbols and letters of the source that neither its vocabulary nor the best translation has."""

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].text


class LinePart(NamedTuple):
    """A unit translated independently: a sentence, or a chunk of an over-long one."""

    ids: Sequence[int]
    space: str  # between its translation and that of the next part
    constraints: Constraints = FREE


class PreparedLine(NamedTuple):
    """A line that is ready to be translated."""

    line: str
    parts: Sequence[LinePart]  # empty for a line that is blank or passed through
    cut: bool  # whether a sentence has several parts
    passed: Sequence[str] = ()  # untranslated text before each part and after the last one; () if there is none
    outside: Sequence[str] = ()  # symbols and letters of other scripts that the vocabulary lacks

    def beam(self, beam: int) -> int:
        """Returns the beam that its constraints need; `beam` without any."""
        return max((part.constraints.beam(beam) for part in self.parts), default=beam)


class Postprocessor:
    """Makes translations of the hypotheses of the search."""

    def __init__(self, tokenizer: Tokenizer, config: SearchConfig) -> None:
        self._tokenizer = tokenizer
        self._config = config

    def hypotheses_needed(self, part: LinePart, n_best: int, beam: int) -> int:
        """Returns how many hypotheses of a part `assemble` needs for `n_best` translations.

        The whole beam if the source has a literal: the best hypothesis may lack it while another one has it.
        """
        if self._config.sample:
            return n_best
        ranked = self._config.verbatim_penalty > 0 and n_best < beam and _Source(part, self._tokenizer).literals.firm
        return beam if ranked else n_best

    def assemble(self, prepared: PreparedLine, found: Sequence[Sequence[Hypothesis]], n_best: int) -> Translation:
        """Returns the n best translations of a line from the hypotheses of each part, best first."""
        sources = [_Source(part, self._tokenizer) for part in prepared.parts]
        ranked = [self._ranked(source, hypotheses) for source, hypotheses in zip(sources, found, strict=True)]
        return _translation(prepared, sources, zip(*ranked, strict=False), n_best)  # as many as the shortest list has

    def assemble_given(self, prepared: PreparedLine, found: Sequence[Hypothesis]) -> Translation:
        """Returns the line with a given translation, one hypothesis per part, into which nothing is copied."""
        sources = [_Source(part, self._tokenizer) for part in prepared.parts]
        given = tuple(_Candidate(source, each, "none") for source, each in zip(sources, found, strict=True))
        return _translation(prepared, sources, iter([given]), 1)

    def _ranked(self, source: "_Source", hypotheses: Sequence[Hypothesis]) -> Iterator["_Candidate"]:
        """Yields the hypotheses of a part, best first: by score less the penalty for each literal they lack.

        The text before copying is ranked: a hypothesis that is right ranks above one that copying corrects. Finished
        ones rank above those that were cut.
        """
        candidates = (_Candidate(source, each, self._config.copying) for each in hypotheses)
        first = next(candidates)
        if not first.hypothesis.finished or (self._config.verbatim_penalty and first.missing_literals):
            yield from sorted([first, *candidates], key=self._rank)
        else:  # no other one can rank above it, and usually no more are needed
            yield first
            yield from sorted(candidates, key=self._rank)

    def _rank(self, candidate: "_Candidate") -> tuple[bool, float]:
        penalty = self._config.verbatim_penalty
        hypothesis = candidate.hypothesis
        return not hypothesis.finished, (penalty * candidate.missing_literals if penalty else 0.0) - hypothesis.score


class _Source:
    """The source of a part as text; properties are computed when needed."""

    def __init__(self, part: LinePart, tokenizer: Tokenizer) -> None:
        self.part = part
        self.tokenizer = tokenizer

    @cached_property
    def pieces(self) -> list[str]:
        return [*self.tokenizer.source.pieces(self.part.ids), END]

    @cached_property
    def literals(self) -> Literals:
        return Literals(self.tokenizer.source.decode(self.part.ids))

    @cached_property
    def piece_literals(self) -> SourceLiterals:
        return SourceLiterals(self.pieces)


class _Candidate:
    """A hypothesis of a part as text; properties are computed when needed."""

    def __init__(self, source: _Source, hypothesis: Hypothesis, copying: Copying) -> None:
        self.source = source
        self.hypothesis = hypothesis
        self._copying: Copying = copying
        self._vocabulary = source.tokenizer.target

    @cached_property
    def pieces(self) -> list[str]:
        return [*self._vocabulary.pieces(self.hypothesis.ids), *([END] if self.hypothesis.finished else [])]

    @cached_property
    def plain(self) -> str:
        """The text of the pieces, normalised: byte pieces can spell line ends and control characters."""
        return normalize(self._vocabulary.decode(self.hypothesis.ids))

    @cached_property
    def missing_literals(self) -> int:
        """Number of literals of the source that the text of the pieces lacks."""
        literals = self.source.literals
        return len(missing_literals(literals, Literals(self.plain))) if literals.firm else 0

    @cached_property
    def copied(self) -> tuple[str, list[Copy]]:
        """The text with literals and symbols of the source, and the copies."""
        if not KINDS[self._copying]:
            return self.plain, []
        text, copies, weights = self.plain, list[Copy](), self.hypothesis.weights
        if weights is not None and self.source.literals.firm:
            text, copies = copy_literals(text, self.source.piece_literals, self.pieces, weights, self._copying)
        wrong = wrong_symbols(text, self.source.literals.line, self._vocabulary.has)
        return with_symbols(text, copies, wrong, self.pieces) if wrong else (text, copies)


def _translation(
    prepared: PreparedLine, sources: Sequence[_Source], ranked: Iterator[tuple[_Candidate, ...]], n_best: int
) -> Translation:
    if not sources:
        passed = TranslatedText("".join(prepared.passed).strip(" "), 0.0, 0.0, (), (), (), finished=True, copies=())
        return Translation(prepared.line, (), (passed,), 0)
    best: dict[str, TranslatedText] = {}  # different pieces can spell the same text, especially after copying
    for candidates in ranked:
        joined = _join(candidates, prepared.passed)
        best.setdefault(joined.text, joined)
        if len(best) == n_best:
            break
    hypotheses = tuple(best.values())
    pieces = tuple(piece for source in sources for piece in source.pieces)
    left_out = tuple(each for each in prepared.outside if each not in hypotheses[0].text)
    return Translation(prepared.line, pieces, hypotheses, len(sources), prepared.cut, left_out)


def _join(parts: Sequence[_Candidate], passed: Sequence[str]) -> TranslatedText:
    """Joins translations of the parts with the untranslated text between them."""
    hypotheses = [each.hypothesis for each in parts]
    text, *after_parts = passed or [""] * (len(parts) + 1)
    pieces, copies = list[str](), list[Copy]()
    for each, after in zip(parts, after_parts, strict=True):
        translated, own_copies = each.copied
        text += (translated and translated + each.source.part.space) + after
        copies += [copy.shifted(len(pieces)) for copy in own_copies]
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
    """Returns a JSON object of a line and its translations: text, scores, pieces with log-probabilities, copies."""
    return {
        "source": translation.source,
        "hypotheses": [
            {
                "text": found.text,
                "score": round(found.score, 6),
                "log_prob": round(found.log_prob, 6),
                "finished": found.finished,
                "pieces": [
                    {"piece": piece, "log_prob": round(log_prob, 6)}
                    for piece, log_prob in zip(found.pieces, found.token_log_probs, strict=True)
                ],
                "copies": [copy._asdict() for copy in found.copies],
            }
            for found in translation.hypotheses
        ],
    }
