"""Texts of any length, the rest of a long one translated by a process on each core.

Threads of one process take turns at what is not in its libraries; processes do not.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice

from kotrans.assembly import Translation, packed, unpacked
from kotrans.pipeline.translation import LoadedRuns
from kotrans.processes import FEWEST_PARTS, ordered_map
from kotrans.translate import BatchTranslator

_CHUNKS_HERE = 2  # that are translated in this process before others are started, which takes seconds


def translate_text(
    loaded: LoadedRuns, lines: Iterable[str], n_best: int = 1, *, first: int = 1
) -> Iterator[Translation]:
    """As `BatchTranslator.translate`, and the same translations: a chunk of lines is one wherever it is translated.

    Reads some chunks ahead. Raises what that does, and DataError if a process is killed.
    """
    translator, remaining = loaded.translator, iter(lines)
    size = translator.lines_ahead
    yield from translator.translate(islice(remaining, _CHUNKS_HERE * size), n_best, first=first)
    first += _CHUNKS_HERE * size
    chunks = iter(lambda: list(islice(remaining, size)), [])
    ahead = list(islice(chunks, FEWEST_PARTS)) if translator.threads > 1 else []
    if len(ahead) < FEWEST_PARTS:
        yield from translator.translate(chain(*ahead, remaining), n_best, first=first)
        return
    numbered = zip(count(first, size), chain(ahead, chunks), strict=False)
    work = _Chunks(loaded.load_for_one_core, n_best)
    for translations in ordered_map(work, numbered, translator.threads, "translating"):
        yield from map(unpacked, translations)


class _Chunks:
    """The work of a process: it loads the translator with the first chunk."""

    def __init__(self, load: Callable[[], BatchTranslator], n_best: int) -> None:
        self._load = load
        self._n_best = n_best
        self._translator: BatchTranslator | None = None

    def __call__(self, numbered: tuple[int, list[str]]) -> list[Translation]:
        """The translations of some lines, the first of which has this number."""
        self._translator = self._translator or self._load()
        first, lines = numbered
        return [packed(each) for each in self._translator.translate(lines, self._n_best, first=first)]
