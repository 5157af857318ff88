"""Translates long texts with several processes: threads of one process compete for Python's interpreter lock."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice

from kotrans.parallel.process_pool import MOST_PROCESSES, ordered_map
from kotrans.translation.model_loading import TranslatorSpec, search_memory_errors
from kotrans.translation.postprocess import Translation
from kotrans.translation.translator import Translator

_FEWEST_CHUNKS = 5  # threads finish fewer chunks before processes have started


def translate_text(
    translator: Translator, lines: Iterable[str], n_best: int = 1,
    *, first: int = 1, split_sentences: bool | None = None,
) -> Iterator[Translation]:  # fmt: skip
    """As `Translator.translations`, bit for bit; a text of several chunks uses processes instead of threads.

    A process per core, or on more than 8 cores 8 processes that divide them.
    Reads several chunks ahead. Raises what `translations` raises, DataError if a process is killed, and TrainingError
    if memory runs out.
    """
    with search_memory_errors(translator.config):
        yield from _translate_text(translator, lines, n_best, first, split_sentences)


def translate_chunks(
    translator: Translator, chunks: Iterable[Sequence[str]], n_best: int = 1, *, first: int = 1
) -> Iterator[Translation]:
    """As `Translator.translate_chunks`. Raises TrainingError if memory runs out."""
    with search_memory_errors(translator.config):
        yield from translator.translate_chunks(chunks, n_best, first=first)


def _translate_text(
    translator: Translator, lines: Iterable[str], n_best: int, first: int, split_sentences: bool | None
) -> Iterator[Translation]:
    size, threads, remaining = translator.lines_ahead, translator.threads, iter(lines)
    chunks = iter(lambda: list(islice(remaining, size)), [])
    ahead = list(islice(chunks, _FEWEST_CHUNKS)) if threads > 1 else []
    if len(ahead) < _FEWEST_CHUNKS:
        lines = chain(*ahead, remaining)
        yield from translator.translations(lines, n_best, first=first, split_sentences=split_sentences)
        return
    numbered = zip(count(first, size), chain(ahead, chunks), strict=False)
    processes = min(threads, MOST_PROCESSES)
    work = _ChunkWorker(translator.spec.with_threads(threads // processes), n_best, threads, split_sentences)
    for translations in ordered_map(work, numbered, processes, "translating"):
        yield from translations


class _ChunkWorker:
    """Translates chunks in a worker process; loads the translator with the first chunk."""

    def __init__(self, spec: TranslatorSpec, n_best: int, shards: int, split_sentences: bool | None) -> None:
        """shards: number of threads that would share a chunk in one process, so that the batches are the same."""
        self._spec = spec
        self._n_best = n_best
        self._shards = shards
        self._split_sentences = split_sentences
        self._translator: Translator | None = None

    def __call__(self, numbered: tuple[int, list[str]]) -> list[Translation]:
        """Returns the translations of lines. numbered: the number of the first line, and the lines."""
        self._translator = self._translator or Translator.from_spec(self._spec)
        first, lines = numbered
        found = self._translator.translate_chunk(
            lines, self._n_best, first, self._shards, split_sentences=self._split_sentences
        )
        return list(found)
