"""A long text: the same translations, whoever makes them."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from kotrans.errors import DataError
from kotrans.files import read_lines
from kotrans.pipeline.long_text import translate_text
from kotrans.pipeline.translation import LoadedRuns, load_runs
from kotrans.translate import BatchTranslator
from tests.tiny_run import TinyRun


@pytest.fixture
def loaded(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> LoadedRuns:
    """Two threads, and 16 lines a chunk."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return load_runs(["tiny"], ["hardware.threads=2", "search.batch=1", "search.beam=2"])


@pytest.fixture
def lines(tiny_run: TinyRun) -> list[str]:
    """Two chunks, and three more and a part of one."""
    return ["", *read_lines(tiny_run.folder / "train.ko")[:85], " "]


def test_a_long_text_has_the_translations_that_one_process_makes(loaded: LoadedRuns, lines: list[str]) -> None:
    assert loaded.translator.lines_ahead == 16
    expected = list(loaded.translator.translate(lines, n_best=2))
    found = list(translate_text(loaded, iter(lines), n_best=2))
    assert [each.source for each in found] == lines
    for one, other in zip(found, expected, strict=True):
        assert [best.text for best in one.hypotheses] == [best.text for best in other.hypotheses]
        assert [best.pieces for best in one.hypotheses] == [best.pieces for best in other.hypotheses]
        for best, known in zip(one.hypotheses, other.hypotheses, strict=True):
            assert best.score == pytest.approx(known.score)
            assert (best.weights is None) == (known.weights is None)
            if best.weights is not None and known.weights is not None:
                torch.testing.assert_close(best.weights, known.weights)


def refuse() -> BatchTranslator:
    raise DataError("asked elsewhere")


def test_only_what_is_left_of_a_long_text_goes_to_other_processes(loaded: LoadedRuns, lines: list[str]) -> None:
    watched = replace(loaded, load_for_one_core=refuse)
    assert len(list(translate_text(watched, lines[:64]))) == 64  # two chunks after the first two
    translations = translate_text(watched, lines[:65])
    assert len(list(islice(translations, 32))) == 32
    with pytest.raises(DataError, match="asked elsewhere"):
        next(translations)
    single = replace(loaded, translator=load_runs(["tiny"], ["hardware.threads=1"]).translator)
    assert len(list(translate_text(replace(single, load_for_one_core=refuse), lines))) == len(lines)
