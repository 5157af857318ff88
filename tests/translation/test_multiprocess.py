"""Translating a long text with a process per core."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kotrans.errors import DataError
from kotrans.storage.files import read_lines
from kotrans.translation.multiprocess import translate_text
from kotrans.translation.translator import Translator
from tests.tiny_run import TinyRun

pytestmark = pytest.mark.slow


@pytest.fixture
def translator(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> Translator:
    """Two threads, and 16 lines per chunk."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return Translator.load("tiny", settings=["hardware.threads=2", "search.batch=1", "search.beam=2"])


@pytest.fixture
def lines(tiny_run: TinyRun) -> list[str]:
    """Five chunks and a part of one."""
    return ["", *read_lines(tiny_run.folder / "train.ko")[:85], " "]


@pytest.mark.parametrize("threads", [2, 6, 17])
def test_processes_translate_a_long_text_exactly_as_one_process_does(
    threads: int, tiny_run: TinyRun, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    settings = [f"hardware.threads={threads}", "search.batch=2", "search.beam=2"]
    translator = Translator.load("tiny", settings=settings)
    lines = lines * -(-5 * translator.lines_ahead // len(lines))
    expected = list(translator.translations(lines, n_best=2))
    found = list(translate_text(translator, iter(lines), n_best=2))
    assert [each.source for each in found] == lines
    for one, other in zip(found, expected, strict=True):
        for best, known in zip(one.hypotheses, other.hypotheses, strict=True):
            assert (best.text, best.pieces, best.score) == (known.text, known.pieces, known.score)
            assert (best.weights is None) == (known.weights is None)
            if best.weights is not None and known.weights is not None:
                assert np.array_equal(best.weights, known.weights)


def test_processes_split_sentences_only_if_the_argument_is_true(translator: Translator, lines: list[str]) -> None:
    two = [f"{left} {right}" for left, right in pairwise(lines)]
    for splits in (False, True):
        expected = list(translator.translations(two, split_sentences=splits))
        found = list(translate_text(translator, two, split_sentences=splits))
        assert [(each.text, each.parts) for each in found] == [(each.text, each.parts) for each in expected]
        assert max(each.parts for each in found) >= 1 + splits


def test_processes_are_started_only_for_a_long_text_and_several_threads(
    translator: Translator, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise DataError("processes were started")

    monkeypatch.setattr("kotrans.translation.multiprocess.ordered_map", refuse)
    assert translator.lines_ahead == 16
    assert len(list(translate_text(translator, lines[:64]))) == 64  # four chunks
    with pytest.raises(DataError, match="processes were started"):
        next(translate_text(translator, lines[:65]))
    other = Translator.load("tiny", settings=["hardware.threads=1", "search.batch=1"])
    assert len(list(translate_text(other, lines[:20] * 30))) == 600
