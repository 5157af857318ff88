"""Translates and scores lines: tokenizes, batches by length, searches, detokenizes, and keeps the order."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from kotrans.config.schema import SearchConfig
from kotrans.data.tokenizer import EOS, PAD, Tokenizer
from kotrans.engine.engine_loading import load_engine
from kotrans.engine.stepper import Booleans, Ints, Stepper
from kotrans.errors import ModelError
from kotrans.parallel.shards import ShardPool
from kotrans.search.beam import check_n_best, search
from kotrans.search.constraints import FREE
from kotrans.search.greedy import forced_decoding
from kotrans.search.hypotheses import Hypothesis
from kotrans.text.normalization import normalize
from kotrans.text.sentence_splitter import split_lines
from kotrans.translation.glossary import Glossary
from kotrans.translation.model_loading import TranslatorSpec, find_models
from kotrans.translation.postprocess import LinePart, Postprocessor, PreparedLine, Translation
from kotrans.translation.units import SourceReader, Unit, parts_of, prepared_line

# Batches that are read and sorted by length together: several per thread, so that no thread idles at the end.
_BATCHES_SORTED = 16
_BATCHES_PER_THREAD = 4
logger = logging.getLogger(__name__)

Result = TypeVar("Result")
ModelName = str | PathLike[str]


class Translator:
    """Translates Korean lines into English with one model, or with an ensemble of models of one vocabulary.

    >>> Translator.load("starter").translate(["저는 학생이에요."])
    ["I'm a student."]
    """

    def __init__(
        self, stepper: Stepper[Any], tokenizer: Tokenizer, config: SearchConfig, *, max_pieces: int,
        max_source_length: int | None = None, passes_through: bool = False, threads: int = 1,
    ) -> None:  # fmt: skip
        """Creates a translator from a model in memory; use `load` for trained ones.

        max_pieces: a longer source is translated in parts, because training had none.
        max_source_length: a longer source, EOS included, is an error (`attention.score: location`).
        passes_through: lines and sentences without Korean letters are not translated (`Config.passes_through`).
        threads: number of batches that are searched at once.
        """
        self.stepper = stepper
        self.tokenizer = tokenizer
        self.config = config
        self.max_pieces = max_pieces
        self.max_source_length = max_source_length
        self.engine, self.device, self.precision = "torch", "cpu", "fp32"
        self.hashes: tuple[str, ...] = ()  # of the files of each model
        self.postprocessor = Postprocessor(tokenizer, config)
        self.glossary = Glossary.load(config.glossary) if config.glossary else None
        self._reader = SourceReader(tokenizer.source, passes_through=passes_through)
        self._shards = ShardPool(threads)
        self._spec: TranslatorSpec | None = None

    @classmethod
    def load(cls, model: ModelName | Sequence[ModelName] | None = None, *, settings: Sequence[str] = ()) -> Self:
        """Loads a run by name or as "RUN/CHECKPOINT", or the path of a run, a checkpoint, an exported folder or zip.

        Several models make an ensemble; None is the most recently finished run. Runs are in KOTRANS_RUNS (default:
        runs/); a Path is never the name of a run. `settings` are those of `--set`, such as "search.beam=1" or
        "hardware.device=cpu". Raises KotransError if a
        model is missing or damaged, a setting is invalid, or the vocabularies differ.
        """
        models = [] if model is None else [model] if isinstance(model, str | PathLike) else model
        return cls.from_spec(find_models([each if isinstance(each, str) else Path(each) for each in models], settings))

    @classmethod
    def from_spec(cls, spec: TranslatorSpec) -> Self:
        """Loads the models of a spec.

        Raises CheckpointError if one is damaged, ConfigError if the device or precision is not available, or ModelError
        if the vocabularies differ.
        """
        engine = load_engine(spec.models, spec.config.hardware, spec.config.search.shortlist)
        configs = [each.config for each in engine.members]
        limits = [each.attention.max_source_length for each in configs if each.attention.score == "location"]
        translator = cls(
            engine.stepper, engine.members[0].tokenizer, spec.config.search,
            max_pieces=min(each.batches.max_pieces for each in configs),
            max_source_length=min((limit for limit in limits if limit is not None), default=None),
            passes_through=all(each.passes_through for each in configs), threads=engine.threads,
        )  # fmt: skip
        translator.engine, translator.device, translator.precision = engine.name, engine.device, engine.precision
        translator.hashes = tuple(each.files_hash for each in engine.members)
        translator._spec = spec
        return translator

    @property
    def spec(self) -> TranslatorSpec:
        """The models on disk and their config. Only of a translator that was loaded."""
        assert self._spec is not None, "this translator was made from a model in memory"
        return self._spec

    @property
    def name(self) -> str:
        """RUN/CHECKPOINT, or the path of an exported model; those of an ensemble with " + " between them."""
        return " + ".join(self.spec.names)

    @property
    def threads(self) -> int:
        """Number of threads; each searches one batch at a time on one core."""
        return self._shards.count

    @property
    def lines_ahead(self) -> int:
        """Number of lines that are read, sorted by length and translated together."""
        return self.config.batch * max(_BATCHES_SORTED, _BATCHES_PER_THREAD * self._shards.count)

    def translate(self, lines: Iterable[str], *, split_sentences: bool | None = None) -> list[str]:
        """Returns the best translation of each line, in order; a blank line stays blank.

        A text of several lines is translated line by line and keeps its line breaks. split_sentences: translate each
        sentence of a line separately (default: the model's `search.split_sentences`; if that is null, true).
        """
        _refuse_one_string(lines)
        texts = [split_lines(text) for text in lines]
        found = self.translations((line for text in texts for line in text.lines), split_sentences=split_sentences)
        return [text.join([next(found).text for _ in text.lines]) for text in texts]

    def translations(
        self, lines: Iterable[str], n_best: int = 1, *, first: int = 1, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """Yields the `n_best` translations of each line, in order, with scores, pieces and attention weights.

        Reads `lines_ahead` lines at a time, so that `lines` may be endless. A line break inside a line is white space.
        first: number of the first line in messages. split_sentences: as in `translate`. Raises UsageError if `n_best`
        is below 1 or above the beam, ModelError if a line is too long for a model with `attention.score: location`.
        """
        _refuse_one_string(lines)
        remaining = iter(lines)
        chunks = iter(lambda: list(islice(remaining, self.lines_ahead)), [])
        return self.translate_chunks(chunks, n_best, first=first, split_sentences=split_sentences)

    def translate_chunks(
        self, chunks: Iterable[Sequence[str]], n_best: int = 1, *, first: int = 1, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """As `translations`, for lines in chunks: each chunk is translated completely before the next one is read."""
        if not self.config.sample:
            check_n_best(n_best, self.config.beam)
        for chunk in chunks:
            yield from self.translate_chunk(chunk, n_best, first, self._shards.count, split_sentences=split_sentences)
            first += len(chunk)

    def translate_chunk(
        self, lines: Sequence[str], n_best: int, first: int, shards: int, *, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """Translates lines together, sorted by length, in at least `shards` batches if there are as many lines.

        The batches depend on `shards` only, not on the number of threads.
        """
        prepared_lines = self.prepare(lines, first, split_sentences=split_sentences)
        parts = [part for line in prepared_lines for part in line.parts]
        sources = [part.ids for part in parts]
        needed = [self.postprocessor.hypotheses_needed(part, n_best, self.config.beam) for part in parts]

        def searched(rows: Sequence[int]) -> list[list[Hypothesis]]:
            batch = self.batch([sources[i] for i in rows])
            constraints = [parts[i].constraints for i in rows]
            return search(self.stepper, *batch, self.config, [needed[i] for i in rows], constraints)

        found = self._by_length(range(len(parts)), sources, searched, shards)
        hypotheses = (found[i] for i in range(len(parts)))
        for line in prepared_lines:
            yield self.postprocessor.assemble(line, list(islice(hypotheses, len(line.parts))), n_best)

    def score(self, pairs: Iterable[tuple[str, str]], *, split_sentences: bool | None = None) -> Iterator[Translation]:
        """Yields each source with the given translation as its only hypothesis, scored as the search scores its own.

        split_sentences: score sentence by sentence (default: `search.split_sentences`; if that is null, false). A pair
        whose sides have different numbers of sentences is scored whole, and a warning counts those pairs. A source
        longer than `max_pieces` is scored whole. A pair with a blank side is blank. Raises ModelError as `translations`
        does.
        """
        splits = self.config.splits_pairs if split_sentences is None else split_sentences
        remaining, first, whole = iter(pairs), 1, 0
        while chunk := list(islice(remaining, self.lines_ahead)):
            units = [self._reader.units_of_pair(*pair, splits=splits) for pair in chunk]
            whole += sum(each is None for each in units)
            aligned = [
                self._reader.units_of_pair(*pair, splits=False) or [] if each is None else each
                for pair, each in zip(chunk, units, strict=True)
            ]
            yield from self._score_chunk([source for source, _ in chunk], aligned, first)
            first += len(chunk)
        if whole:
            logger.warning(
                "%d of %d pairs were scored whole: their sides have different numbers of sentences", whole, first - 1
            )

    def _score_chunk(
        self, lines: Sequence[str], units: Sequence[Sequence[tuple[Unit, str]]], first: int
    ) -> Iterator[Translation]:
        flat = [(number, *each) for number, of_pair in enumerate(units, first) for each in of_pair]
        encoded = self.tokenizer.source.encode([unit.text for _, unit, _ in flat])
        sources = [self._checked(ids, number) for (number, _, _), ids in zip(flat, encoded, strict=True)]
        targets = self.tokenizer.target.encode([target for _, _, target in flat])
        rows = [i for i, ids in enumerate(sources) if ids and targets[i]]

        def scored(rows: Sequence[int]) -> list[Hypothesis]:
            batch = self.batch([sources[i] for i in rows])
            return forced_decoding(self.stepper, *batch, [targets[i] for i in rows], self.config)

        found = self._by_length(rows, sources, scored, self._shards.count)
        numbers = iter(range(len(flat)))
        for line, of_pair in zip(lines, units, strict=True):
            own = list(islice(numbers, len(of_pair)))
            parts = [[LinePart(sources[i], flat[i][1].joint)] if i in found else [] for i in own]
            yield self.postprocessor.assemble_given(
                prepared_line([unit for unit, _ in of_pair], parts, line), [found[i] for i in own if i in found]
            )

    def prepare(
        self, lines: Sequence[str], first: int = 1, *, split_sentences: bool | None = None,
        prefix: str | None = None, glossary: Glossary | None = None,
    ) -> list[PreparedLine]:  # fmt: skip
        """Divides each line into units that are translated independently, and long units into parts.

        first: number of the first line in messages. split_sentences: as in `translate`. prefix: text with which the
        translations begin (default: `search.prefix`). glossary: default: that of `search.glossary`. Raises ModelError
        if a line is too long for a model with `attention.score: location`.
        """
        splits = self.config.splits_text if split_sentences is None else split_sentences
        units = [self._reader.units(line, splits=splits) for line in lines]
        encoded = iter(self.tokenizer.source.encode([unit.text for of_line in units for unit in of_line]))
        prepared = [
            prepared_line(of_line, [self._parts(next(encoded), n, unit.joint) for unit in of_line], line)
            for n, (line, of_line) in enumerate(zip(lines, units, strict=True), first)
        ]
        terms, start = glossary or self.glossary, self.config.prefix if prefix is None else prefix
        return [self._constrained(line, start, terms) for line in prepared] if start or terms else prepared

    def _constrained(self, line: PreparedLine, prefix: str, glossary: Glossary | None) -> PreparedLine:
        """Returns the line with the prefix as a constraint of its first part, and terms of the glossary of each."""
        encode = self.tokenizer.target.encode
        begin, parts = tuple(encode([normalize(prefix)])[0]), list[LinePart]()
        for part in line.parts:
            found = glossary.find(self.tokenizer.source.decode(part.ids)) if glossary else []
            forms = (tuple(tuple(ids) for ids in encode(term.forms) if ids) for term in found)
            constraints = FREE._replace(prefix=() if parts else begin, terms=tuple(each for each in forms if each))
            if constraints != FREE:
                constraints = constraints._replace(inner=self.tokenizer.target.inner_pieces)
            parts.append(part._replace(constraints=constraints))
        return line._replace(parts=parts)

    def _parts(self, ids: Sequence[int], line: int, space: str) -> list[LinePart]:
        return parts_of(self._checked(ids, line), self.max_pieces, self.tokenizer.source, space)

    def batch(self, sources: Sequence[Sequence[int]]) -> tuple[Ints, Booleans]:
        """Returns ids (B, S) of sources without EOS, with EOS appended, and a mask (B, S) that is true on pieces."""
        longest = max((len(ids) for ids in sources), default=0) + 1
        source = np.full((len(sources), longest), PAD)
        for row, ids in zip(source, sources, strict=True):
            row[: len(ids) + 1] = [*ids, EOS]
        return source, source != PAD

    def _by_length(
        self, rows: Sequence[int], sources: Sequence[Sequence[int]],
        run: Callable[[Sequence[int]], list[Result]], shards: int,
    ) -> dict[int, Result]:  # fmt: skip
        """Calls `run` on all threads for batches of rows with sources of similar length, longest first.

        Returns the result of each row.
        """
        order = sorted(rows, key=lambda i: -len(sources[i]))
        size = min(self.config.batch, -(-len(order) // shards))
        batches = [order[start : start + size] for start in range(0, len(order), size or 1)]
        found: dict[int, Result] = {}
        for batch, results in zip(batches, self._shards.map(run, batches), strict=True):
            found.update(zip(batch, results, strict=True))
        return found

    def _checked(self, ids: Sequence[int], line: int) -> Sequence[int]:
        limit = self.max_source_length
        if limit is not None and len(ids) >= limit:
            raise ModelError(
                f"line {line}: {len(ids) + 1} source pieces, but attention.score `location` was trained "
                f"for attention.max_source_length {limit}; shorten the line"
            )
        return ids


def _refuse_one_string(lines: Iterable[str]) -> None:
    if isinstance(lines, str):
        raise TypeError("lines is one string; give a list: translate([line])")
