"""A long text: the same translations, whoever makes them."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from kotrans.errors import DataError
from kotrans.storage.files import read_lines
from kotrans.translation.model_loading import LoadedRuns, load_runs
from kotrans.translation.multiprocess import translate_text
from kotrans.translation.translator import BatchTranslator
from tests.tiny_run import TinyRun


@pytest.fixture
def loaded(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> LoadedRuns:
    """Two threads, and 16 lines a chunk."""
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    return load_runs(["tiny"], ["hardware.threads=2", "search.batch=1", "search.beam=2"])


@pytest.fixture
def lines(tiny_run: TinyRun) -> list[str]:
    """Five chunks and a part of one."""
    return ["", *read_lines(tiny_run.folder / "train.ko")[:85], " "]


@pytest.mark.parametrize("threads", [2, 6])
def test_a_long_text_has_the_translations_that_one_process_makes(
    threads: int, tiny_run: TinyRun, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOTRANS_RUNS", str(tiny_run.runs))
    loaded = load_runs(["tiny"], [f"hardware.threads={threads}", "search.batch=2", "search.beam=2"])
    lines = lines * -(-5 * loaded.translator.lines_ahead // len(lines))
    expected = list(loaded.translator.translate(lines, n_best=2))
    found = list(translate_text(loaded, iter(lines), n_best=2))
    assert [each.source for each in found] == lines
    for one, other in zip(found, expected, strict=True):
        for best, known in zip(one.hypotheses, other.hypotheses, strict=True):
            assert (best.text, best.pieces, best.score) == (known.text, known.pieces, known.score)
            assert (best.weights is None) == (known.weights is None)
            if best.weights is not None and known.weights is not None:
                assert torch.equal(best.weights, known.weights)


def test_processes_split_or_leave_lines_as_told(loaded: LoadedRuns, lines: list[str]) -> None:
    two = [f"{left} {right}" for left, right in pairwise(lines)]
    for splits in (False, True):
        expected = list(loaded.translator.translate(two, split_sentences=splits))
        found = list(translate_text(loaded, two, split_sentences=splits))
        assert [(each.text, each.parts) for each in found] == [(each.text, each.parts) for each in expected]
        assert max(each.parts for each in found) >= 1 + splits


def refuse() -> BatchTranslator:
    raise DataError("asked elsewhere")


def test_only_a_long_text_and_several_cores_are_worth_other_processes(loaded: LoadedRuns, lines: list[str]) -> None:
    watched = replace(loaded, load_for_one_core=refuse)
    assert watched.translator.lines_ahead == 16
    assert len(list(translate_text(watched, lines[:64]))) == 64  # four chunks
    with pytest.raises(DataError, match="asked elsewhere"):
        next(translate_text(watched, lines[:65]))
    for threads in (1, 9):
        other = load_runs(["tiny"], [f"hardware.threads={threads}", "search.batch=1"])
        assert len(list(translate_text(replace(other, load_for_one_core=refuse), lines[:20] * 30))) == 600
