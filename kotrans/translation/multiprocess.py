"""Long texts, translated by a process on each core.

Threads of one process take turns at what is not in its libraries; processes do not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count, islice

from kotrans.parallel.process_pool import MOST_PROCESSES, ordered_map
from kotrans.translation.model_loading import LoadedRuns, translation_memory
from kotrans.translation.postprocess import Translation, packed, unpacked
from kotrans.translation.translator import BatchTranslator

_FEWEST_CHUNKS = 5  # of fewer, threads are done before processes have started and made up for it


def translate_text(
    loaded: LoadedRuns, lines: Iterable[str], n_best: int = 1, *, first: int = 1, split_sentences: bool | None = None
) -> Iterator[Translation]:
    """As `BatchTranslator.translate`, bit for bit; on 2 to 8 cores processes translate a text of several chunks.

    Reads some chunks ahead. Raises what that does, DataError if a process is killed, and TrainingError if memory runs
    out.
    """
    with translation_memory(loaded.config.search):
        yield from _translate_text(loaded, lines, n_best, first, split_sentences)


def translate_chunks(
    loaded: LoadedRuns, chunks: Iterable[Sequence[str]], n_best: int = 1, *, first: int = 1
) -> Iterator[Translation]:
    """As `BatchTranslator.translate_chunks`. Raises what that does, and TrainingError if memory runs out."""
    with translation_memory(loaded.config.search):
        yield from loaded.translator.translate_chunks(chunks, n_best, first=first)


def _translate_text(
    loaded: LoadedRuns, lines: Iterable[str], n_best: int, first: int, split_sentences: bool | None
) -> Iterator[Translation]:
    translator, remaining = loaded.translator, iter(lines)
    size, threads = translator.lines_ahead, translator.threads
    chunks = iter(lambda: list(islice(remaining, size)), [])
    ahead = list(islice(chunks, _FEWEST_CHUNKS)) if 1 < threads <= MOST_PROCESSES else []
    if len(ahead) < _FEWEST_CHUNKS:
        yield from translator.translate(chain(*ahead, remaining), n_best, first=first, split_sentences=split_sentences)
        return
    numbered = zip(count(first, size), chain(ahead, chunks), strict=False)
    work = _Chunks(loaded.load_for_one_core, n_best, threads, split_sentences)
    for translations in ordered_map(work, numbered, threads, "translating"):
        yield from map(unpacked, translations)


class _Chunks:
    """The work of a process: it loads the translator with the first chunk."""

    def __init__(
        self, load: Callable[[], BatchTranslator], n_best: int, shares: int, split_sentences: bool | None
    ) -> None:
        """shares: in as many as that a chunk is divided where threads share it."""
        self._load = load
        self._n_best = n_best
        self._shares = shares
        self._split_sentences = split_sentences
        self._translator: BatchTranslator | None = None

    def __call__(self, numbered: tuple[int, list[str]]) -> list[Translation]:
        """The translations of some lines, the first of which has this number."""
        self._translator = self._translator or self._load()
        first, lines = numbered
        found = self._translator.translate_chunk(
            lines, self._n_best, first, self._shares, split_sentences=self._split_sentences
        )
        return [packed(each) for each in found]
