"""Admission control: checks a request against the limits before anything is translated."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kotrans.config.schema import SearchConfig
from kotrans.config.sections import ServeConfig
from kotrans.errors import ConfigError, DataError, ModelError
from kotrans.search.memory_bound import SearchMemory
from kotrans.serve.requests import RequestError
from kotrans.serve.schemas import TranslateRequest
from kotrans.text.sentence_splitter import SplitText
from kotrans.translation.glossary import Glossary
from kotrans.translation.postprocess import PreparedLine
from kotrans.translation.translator import Translator


class Admitted(NamedTuple):
    """A request within the limits."""

    texts: Sequence[SplitText]
    lines: Sequence[PreparedLine]
    """The lines of all texts, without blank ones."""
    beam: int
    n_best: int
    with_attention: int
    """Hypotheses per line whose attention weights are returned."""
    weights: int
    """Upper bound of the attention weights in the response."""


def _glossary(request: TranslateRequest) -> Glossary | None:
    if not request.glossary:
        return None
    try:
        return Glossary.of(request.glossary)
    except DataError as error:
        raise RequestError(422, f"glossary: {error}") from None


class Admission:
    """Prepares the lines of requests, and refuses requests over the limits."""

    def __init__(self, translator: Translator, config: ServeConfig) -> None:
        """translator: only prepares lines, see `without_model`. Raises ConfigError if it draws at random."""
        if translator.config.sample:
            raise ConfigError("search.sample: the service does not draw translations at random; leave the setting out")
        self._translator = translator
        self._config = config
        self._search: SearchConfig = translator.config
        self._memory = SearchMemory(config.max_memory, translator.tokenizer.target.size, translator.config)

    def admit(self, request: TranslateRequest, texts: Sequence[SplitText]) -> Admitted:
        """Prepares a request. Raises RequestError. texts: those of the request, split at line breaks."""
        beam = self._beam(request)
        lines = list(self._prepare(request, texts, beam))
        lengths = [[len(part.ids) + 1 for part in line.parts] for line in lines]
        weights = request.with_attention * sum(
            length * self._memory.longest_target(length) for of_line in lengths for length in of_line
        )
        if weights > self._config.max_weights:
            raise RequestError(
                422, f"attention: the response could have {weights:,} weights, which exceeds the limit of "
                f"{self._config.max_weights:,}; request the attention of fewer sentences at once",
            )  # fmt: skip
        for number, (line, of_line) in enumerate(zip(lines, lengths, strict=True), start=1):
            if (needed := line.beam(beam)) > max(beam, self._config.max_beam):
                raise RequestError(
                    422, f"glossary: line {number} has terms that need a beam of {needed}, which exceeds the limit of "
                    f"{self._config.max_beam}; use fewer or shorter terms",
                )  # fmt: skip
            if not self._memory.fits_alone(of_line, needed):
                raise RequestError(
                    422, f"line {number}: {sum(of_line):,} source pieces with a beam of {needed} need more memory than "
                    "serve.max_memory; split the line, or use a smaller beam",
                )  # fmt: skip
        return Admitted(texts, lines, beam, request.n_best, request.with_attention, weights)

    def _beam(self, request: TranslateRequest) -> int:
        limit = self._config.max_beam
        beam = request.beam if request.beam is not None else max(self._search.beam, min(request.n_best, limit))
        if request.beam is not None and beam > limit:
            raise RequestError(422, f"beam: {beam} exceeds the limit of {limit}; use a smaller beam")
        if request.n_best > beam:
            raise RequestError(
                422, f"n_best: {request.n_best} translations exceed the beam of {beam}; request fewer, or use a larger "
                "beam",
            )  # fmt: skip
        return beam

    def _prepare(self, request: TranslateRequest, texts: Sequence[SplitText], beam: int) -> Iterator[PreparedLine]:
        """Prepares the lines one by one, and stops at the first that exceeds a limit."""
        config = self._config
        glossary = _glossary(request)
        parts = 0
        lines = (line for text in texts for line in text.lines if line.strip())
        for number, line in enumerate(lines, start=1):
            if len(line) > config.max_characters:
                raise RequestError(
                    422, f"line {number}: {len(line):,} characters exceed the limit of {config.max_characters:,}; "
                    "split the line",
                )  # fmt: skip
            try:
                (prepared,) = self._translator.prepare(
                    [line], number, split_sentences=request.split_sentences, prefix=request.prefix, glossary=glossary
                )
            except ModelError as error:
                raise RequestError(422, str(error)) from None
            parts += max(1, len(prepared.parts))
            if parts > config.max_sentences:
                raise RequestError(422, f"text: more than {config.max_sentences:,} sentences; send fewer at once")
            if parts * beam > config.max_waiting:
                raise RequestError(
                    422, f"text: {parts:,} or more sentences with a beam of {beam} exceed serve.max_waiting "
                    f"({config.max_waiting:,}); send fewer, or use a smaller beam",
                )  # fmt: skip
            yield prepared
