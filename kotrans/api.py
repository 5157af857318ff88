"""kotrans in a program of your own: load a model, translate."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Self

from kotrans.text.sentence_splitter import split_lines
from kotrans.translation.model_loading import LoadedRuns, load_runs
from kotrans.translation.postprocess import Translation


class Translator:
    """A model that translates Korean lines into English ones; `load` makes one.

    >>> Translator.load("starter").translate(["저는 학생이에요."])
    ["I'm a student."]
    """

    def __init__(self, loaded: LoadedRuns) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, model: str | PathLike[str] | None = None, *, settings: Sequence[str] = ()) -> Self:
        """A run by name or as "RUN/CHECKPOINT", or the path of a run, a checkpoint, or an exported folder or zip.

        None is the most recently finished run. Runs are looked for in KOTRANS_RUNS, else in runs/; a Path is never a
        run's name. `settings` are those of `--set`: "search.beam=1", "hardware.device=cpu". It sets the number of
        PyTorch's CPU threads by `hardware.threads`. Raises a KotransError that says what is missing or damaged.
        """
        name = "" if model is None else model if isinstance(model, str) else Path(model)
        return cls(load_runs([name], settings))

    @property
    def name(self) -> str:
        """Which model this is: "run/checkpoint", or the path that it was loaded from."""
        return self._loaded.names[0]

    def translate(self, lines: Iterable[str], *, split_sentences: bool | None = None) -> list[str]:
        """The best translation of each line, in order; of a blank line a blank one.

        A text of several lines is translated line by line, and its line breaks are kept.
        split_sentences: translate each sentence of a line by itself. None is the model's `search.split_sentences`,
        and if that is null, lines are split.
        """
        _refuse_one_string(lines)
        texts = [split_lines(text) for text in lines]
        found = self.translations((line for text in texts for line in text.lines), split_sentences=split_sentences)
        return [text.join([next(found).text for _ in text.lines]) for text in texts]

    def translations(
        self, lines: Iterable[str], n_best: int = 1, *, split_sentences: bool | None = None
    ) -> Iterator[Translation]:
        """The same in full, as they come: the `n_best` best with scores, pieces and attention weights.

        A line break in a line is white space. Reads ahead some hundred lines, so that lines may come without end.
        Raises UsageError if `n_best` is more than the beam.
        """
        _refuse_one_string(lines)
        return self._loaded.translator.translate(lines, n_best, split_sentences=split_sentences)


def _refuse_one_string(lines: Iterable[str]) -> None:
    if isinstance(lines, str):
        raise TypeError("lines is one string; give a list: translate([line])")
