"""Whether a request is within the limits: computed from its lines before anything is translated."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kotrans.config.schema import SearchConfig
from kotrans.config.sections import ServeConfig
from kotrans.errors import ModelError
from kotrans.search.memory_bound import SearchMemory
from kotrans.serve.requests import ParsedRequest, Refused
from kotrans.text.sentence_splitter import SplitText
from kotrans.translation.postprocess import PreparedLine
from kotrans.translation.translator import BatchTranslator


class Admitted(NamedTuple):
    """A request that is within the limits."""

    texts: Sequence[SplitText]
    lines: Sequence[PreparedLine]
    """Of all texts, but for blank lines."""
    beam: int
    n_best: int
    weights: int
    """The most attention weights that the answer can have."""


class Admission:
    """Divides the texts of requests into units of translation and refuses those over the limits."""

    def __init__(self, translator: BatchTranslator, config: ServeConfig) -> None:
        """translator: only prepares lines, see `without_model`."""
        self._translator = translator
        self._config = config
        self._search: SearchConfig = translator.config
        self._memory = SearchMemory(config.max_memory, translator.tokenizer.target.size, translator.config)

    def admit(self, question: ParsedRequest, texts: Sequence[SplitText]) -> Admitted:
        """texts: those of the question, cut at their line breaks. Raises Refused."""
        beam = self._beam(question)
        lines = list(self._prepared(question, texts, beam))
        lengths = [[len(part.ids) + 1 for part in line.parts] for line in lines]
        weights = question.with_attention * sum(
            each * self._memory.longest_target(each) for of_line in lengths for each in of_line
        )
        most = self._config.max_weights
        if weights > most:
            raise Refused(
                422, f"attention: the answer could have {weights:,} weights, but at most {most:,} are made; "
                "ask for the attention of fewer sentences at once",
            )  # fmt: skip
        for number, of_line in enumerate(lengths, start=1):
            if not self._memory.fits_alone(of_line, beam):
                raise Refused(
                    422, f"line {number}: {sum(of_line):,} source pieces with a beam of {beam} need more memory than "
                    "serve.max_memory; cut it, or ask for a smaller beam",
                )  # fmt: skip
        return Admitted(texts, lines, beam, question.n_best, weights)

    def _beam(self, question: ParsedRequest) -> int:
        most = self._config.max_beam
        beam = question.beam if question.beam is not None else max(self._search.beam, min(question.n_best, most))
        if question.beam is not None and beam > most:
            raise Refused(422, f"beam: {beam}, but at most {most} is taken; ask for less")
        if question.n_best > beam:
            raise Refused(
                422, f"n_best: {question.n_best} translations of a beam of {beam}; ask for fewer, or a larger beam"
            )
        return beam

    def _prepared(self, question: ParsedRequest, texts: Sequence[SplitText], beam: int) -> Iterator[PreparedLine]:
        """The lines, one by one, so that the first that is too much is the last that is prepared."""
        parts = 0
        most = self._config.max_sentences
        lines = (line for text in texts for line in text.lines if line.strip())
        for number, line in enumerate(lines, start=1):
            if len(line) > self._config.max_characters:
                raise Refused(
                    422, f"line {number}: {len(line):,} characters, but at most {self._config.max_characters:,} are "
                    "taken; cut it",
                )  # fmt: skip
            try:
                (prepared,) = self._translator.prepare([line], number, split_sentences=question.split_sentences)
            except ModelError as error:
                raise Refused(422, str(error)) from None
            parts += max(1, len(prepared.parts))
            if parts > most:
                raise Refused(422, f"text: more than {most:,} sentences; send fewer at once")
            if parts * beam > self._config.max_waiting:
                raise Refused(
                    422, f"text: {parts:,} sentences or more with a beam of {beam} are more than serve.max_waiting "
                    f"({self._config.max_waiting:,}) allows; send fewer, or ask for a smaller beam",
                )  # fmt: skip
            yield prepared
