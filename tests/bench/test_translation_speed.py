"""Translation speed, with translations of given lengths."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.bench.translation_speed import GivenLengths, Setup, measure_search
from kotrans.config.schema import SearchConfig
from kotrans.engine.torch_engine import TorchEngine
from kotrans.model.build import build_model
from kotrans.search.beam import search
from tests.search.small_models import TableStepper, padded
from tests.tiny_training import tiny_config

LENGTHS = [3, 1, 6, 2, 6]


@pytest.fixture
def engine(tmp_path: Path) -> TorchEngine:
    return TorchEngine([build_model(tiny_config(tmp_path), 300, 300)])


@pytest.mark.parametrize("beam", [1, 4])
def test_every_translation_has_its_given_length(beam: int, engine: TorchEngine) -> None:
    batch = padded([[9, 8, 2], [5, 2], [7, 7, 7, 2], [6, 2], [4, 2]])
    config = SearchConfig(beam=beam, max_length_ratio=0, max_length_extra=6)
    found = search(GivenLengths(engine, np.array(LENGTHS)), *batch, config)
    for length, (hypothesis,) in zip(LENGTHS, found, strict=True):
        assert (len(hypothesis.ids) + 1, hypothesis.finished) == (length, True)


def test_before_the_given_length_only_eos_is_suppressed(engine: TorchEngine) -> None:
    batch, previous = padded([[9, 8, 2], [5, 2]]), np.array([1, 1])
    given = GivenLengths(engine, np.array([5, 5]))
    log_probs, pieces, _, _ = given.step(given.start(*batch), previous, 299)
    expected, all_pieces, _, _ = engine.step(engine.start(*batch), previous, 300)
    possible = (all_pieces != 2) & (expected > -np.inf)
    assert not (pieces[log_probs > -np.inf] == 2).any()
    assert np.array_equal(log_probs[log_probs > -np.inf], expected[possible])


@pytest.mark.parametrize(("beam", "batch"), [(1, 4), (2, 1)])
def test_translated_sentences_and_pieces_are_counted(
    beam: int, batch: int, engine: TorchEngine, tmp_path: Path
) -> None:
    sentences = SyntheticPairs(tiny_config(tmp_path)).sentences(12)
    figures = measure_search(
        engine, sentences, SearchConfig(), Setup("torch", "fp32", beam, batch), threads=1, seconds=0,
        report=lambda _: None,
    )  # fmt: skip
    assert (figures.engine, figures.precision, figures.beam, figures.batch) == ("torch", "fp32", beam, batch)
    assert figures.sentences == 3 * batch  # three rounds at least
    if batch == 4:  # of 12: every sentence once
        assert figures.output_tokens == sum(sentence.target_length for sentence in sentences)
    assert figures.tokens_per_second == figures.output_tokens / figures.seconds
    assert figures.sentences_per_second == figures.sentences / figures.seconds


def test_a_measurement_that_takes_too_long_is_ended_and_has_no_speed(
    tmp_path: Path,
) -> None:
    class Slow(TableStepper):
        def start(self, source: Any, mask: Any) -> int:
            time.sleep(1.1)
            return super().start(source, mask)

    sentences = SyntheticPairs(tiny_config(tmp_path)).sentences(2)
    figures = measure_search(
        Slow(np.full((300, 300), 1 / 300)), sentences, SearchConfig(), Setup("slow", "fp32", 1, 1), threads=1,
        seconds=0, report=lambda _: None,
    )  # fmt: skip
    assert (figures.sentences, figures.tokens_per_second, figures.sentences_per_second) == (0, None, None)
