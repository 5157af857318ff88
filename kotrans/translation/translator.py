"""Text to text: tokenize, batch, search, detokenize, and keep the order of the lines."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor

from kotrans.config.schema import SearchConfig
from kotrans.data.batching import pad
from kotrans.data.tokenizer import EOS, PAD, Tokenizer
from kotrans.errors import ModelError
from kotrans.model.incremental.incremental_decoder import PRODUCTS, IncrementalDecoder
from kotrans.parallel.shards import ShardPool
from kotrans.runs.checkpoint import Checkpoint
from kotrans.search.beam import check_n_best, search
from kotrans.search.forced_decoding import forced_decoding
from kotrans.search.hypotheses import Hypothesis
from kotrans.search.stepper import EnsembleStepper, Stepper
from kotrans.translation.postprocess import LinePart, Postprocessor, PreparedLine, Translation
from kotrans.translation.units import SourceReader, Unit, prepared

# Batches of lines read ahead and sorted by length: some for each thread, so that none waits long at the end.
_BATCHES_SORTED = 16
_BATCHES_A_THREAD = 4
logger = logging.getLogger(__name__)

Found = TypeVar("Found")


class BatchTranslator:
    """Translates lines with one model, or with several of the same vocabulary together."""

    def __init__(
        self, stepper: Stepper[Any], tokenizer: Tokenizer, config: SearchConfig, device: torch.device,
        *, max_pieces: int, max_source_length: int | None = None, passes_through: bool = False,
    ) -> None:  # fmt: skip
        """max_pieces: a longer source is translated in parts, because the model never saw one in training.

        max_source_length: a longer source, its EOS counted, is refused (`attention.score: location`).
        passes_through: a line or sentence without Korean letters is not translated (`Config.passes_through`).
        """
        self.stepper = stepper
        self.tokenizer = tokenizer
        self.config = config
        self.device = device
        self.max_pieces = max_pieces
        self.max_source_length = max_source_length
        self._reader = SourceReader(tokenizer.source, passes_through=passes_through)
        self.assembler = Postprocessor(tokenizer, config)
        self._shares = ShardPool(torch.get_num_threads() if device.type == "cpu" else 1)

    @property
    def threads(self) -> int:
        """Threads that divide the batches, each on one core."""
        return self._shares.count

    @property
    def lines_ahead(self) -> int:
        """How many lines are read, sorted by length and translated before the first of them is given."""
        return self.config.batch * max(_BATCHES_SORTED, _BATCHES_A_THREAD * self._shares.count)

    def translate(
        self, lines: Iterable[str], n_best: int = 1, *, first: int = 1, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """One Translation for each line, in order; reads `lines_ahead` at most. `first` numbers them in messages.

        split_sentences: translate each sentence of a line by itself; None is what `search.split_sentences` is for text.
        The batches of the lines read are divided among the threads, each batch on one core.
        Raises ModelError if a line is too long for a model with `attention.score: location`, UsageError for an `n_best`
        below 1 or above the beam.
        """
        remaining = iter(lines)
        yield from self.translate_chunks(
            iter(lambda: list(islice(remaining, self.lines_ahead)), []),
            n_best, first=first, split_sentences=split_sentences,
        )  # fmt: skip

    def translate_chunks(
        self, chunks: Iterable[Sequence[str]], n_best: int = 1, *, first: int = 1, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """As `translate`, for lines in chunks: a chunk is translated completely before the next one is read."""
        check_n_best(n_best, self.config.beam)
        for chunk in chunks:
            yield from self.translate_chunk(chunk, n_best, first, self._shares.count, split_sentences=split_sentences)
            first += len(chunk)

    def score(self, pairs: Iterable[tuple[str, str]], *, split_sentences: bool | None = None) -> Iterator[Translation]:
        """Each source with the translation given for it as its one hypothesis, scored as a search scores its own.

        split_sentences: score sentence by sentence, which takes as many sentences on both sides; a pair with other
        numbers is scored whole, and a warning counts those. None is what `search.split_sentences` is for pairs. A
        source that is longer than `max_pieces` is scored whole. A pair with a blank side is blank. Raises ModelError as
        `translate` does.
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

        def scored(batch: Sequence[int]) -> list[Hypothesis]:
            together = self.batch([sources[i] for i in batch])
            return forced_decoding(self.stepper, *together, [targets[i] for i in batch], self.config)

        found = self._by_length(rows, lambda i: len(sources[i]), scored, self._shares.count)
        numbers = iter(range(len(flat)))
        for line, of_pair in zip(lines, units, strict=True):
            own = list(islice(numbers, len(of_pair)))
            parts = [[LinePart(sources[i], flat[i][1].joint)] if i in found else [] for i in own]
            yield self.assembler.as_given(
                prepared([unit for unit, _ in of_pair], parts, line), [found[i] for i in own if i in found]
            )

    def translate_chunk(
        self, lines: Sequence[str], n_best: int, first: int, shares: int, *, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """The same of lines that are sorted by length together, in batches that give something to each of the shares.

        Which lines stand in a batch is told by `shares` alone, and not by the threads that there are.
        """
        lines_prepared = self.prepare(lines, first, split_sentences=split_sentences)
        parts = [part for line in lines_prepared for part in line.parts]
        searched = [self.assembler.searched(part, n_best, self.config.beam) for part in parts]
        found = self._search([part.ids for part in parts], searched, shares)
        for line in lines_prepared:
            yield self.assembler.assemble(line, list(islice(found, len(line.parts))), n_best)

    def prepare(
        self, lines: Sequence[str], first: int = 1, *, split_sentences: bool | None = None
    ) -> list[PreparedLine]:
        """Divides each line into units that are translated independently, and long units into parts.

        `first` numbers the lines in messages. split_sentences: None is what `search.split_sentences` is for text.
        Raises ModelError if a line is too long for a model with `attention.score: location`.
        """
        splits = self.config.splits_text if split_sentences is None else split_sentences
        units = [self._reader.units(line, splits=splits) for line in lines]
        encoded = iter(self.tokenizer.source.encode([unit.text for of_line in units for unit in of_line]))
        return [
            prepared(of_line, [self._parts(self._checked(next(encoded), n), unit.joint) for unit in of_line], line)
            for n, (line, of_line) in enumerate(zip(lines, units, strict=True), first)
        ]

    def batch(self, sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """What a search takes for sources without EOS: their ids (B, S), and a mask (B, S) true on real pieces."""
        source = pad([[*ids, EOS] for ids in sources]).to(self.device)  # (B, S)
        return source, source != PAD

    def _search(
        self, sources: Sequence[Sequence[int]], n_best: Sequence[int], shares: int
    ) -> Iterator[list[Hypothesis]]:
        """The n best of each source, in order, found in batches of like lengths, the longest first."""

        def translated(batch: Sequence[int]) -> list[list[Hypothesis]]:
            together = self.batch([sources[i] for i in batch])
            return search(self.stepper, *together, self.config, [n_best[i] for i in batch])

        found = self._by_length(range(len(sources)), lambda i: len(sources[i]), translated, shares)
        return (found[i] for i in range(len(sources)))

    def _by_length(
        self, rows: Sequence[int], length: Callable[[int], int], run: Callable[[Sequence[int]], list[Found]],
        shares: int,
    ) -> dict[int, Found]:  # fmt: skip
        """What `run` finds for each row, run for batches of like lengths, the longest first, on all threads.

        Of few rows there are as many batches as shares.
        """
        order = sorted(rows, key=lambda i: -length(i))
        size = min(self.config.batch, -(-len(order) // shares))
        batches = [order[start : start + size] for start in range(0, len(order), size or 1)]
        found: dict[int, Found] = {}
        for batch, results in zip(batches, self._shares.map(run, batches), strict=True):
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

    def _parts(self, ids: Sequence[int], space: str = "") -> list[LinePart]:
        """The whole sentence, or pieces of it cut before a word where there is one in reach."""
        if len(ids) <= self.max_pieces:
            return [LinePart(ids, space)] if ids else []
        begins = [piece.startswith("▁") for piece in self.tokenizer.source.pieces(ids)]
        parts, start = [], 0
        while len(ids) - start > self.max_pieces:
            most = start + self.max_pieces
            cut = next((i for i in range(most, start + self.max_pieces // 2, -1) if begins[i]), most)
            parts.append(LinePart(ids[start:cut], " "))
            start = cut
        return [*parts, LinePart(ids[start:], space)]


def translator_of(
    checkpoints: Sequence[Checkpoint], search: SearchConfig, device: torch.device, precision: str = "fp32"
) -> BatchTranslator:
    """A translator of one checkpoint, or of an ensemble, that multiplies in fp32, bf16 or int8.

    Raises ModelError if their vocabularies differ.
    """
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if other.tokenizer.fingerprint != first.tokenizer.fingerprint:
            raise ModelError(
                f"an ensemble needs one vocabulary, but {first.config.name} and {other.config.name} have tokenizers "
                f"{first.tokenizer.fingerprint} and {other.tokenizer.fingerprint}"
            )
    models = [IncrementalDecoder(checkpoint.model, PRODUCTS[precision]) for checkpoint in checkpoints]
    limits = [
        checkpoint.config.attention.max_source_length
        for checkpoint in checkpoints
        if checkpoint.config.attention.score == "location"
    ]
    return BatchTranslator(
        models[0] if len(models) == 1 else EnsembleStepper(models),
        first.tokenizer, search, device,
        max_pieces=min(checkpoint.config.batches.max_pieces for checkpoint in checkpoints),
        max_source_length=min((limit for limit in limits if limit is not None), default=None),
        passes_through=all(checkpoint.config.passes_through for checkpoint in checkpoints),
    )  # fmt: skip
