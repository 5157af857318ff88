"""Translation speed, with translations of given lengths."""

from pathlib import Path

import pytest
import torch

from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.bench.translation_speed import GivenLengths, measure_search
from kotrans.config.schema import SearchConfig
from kotrans.data.batching import pad
from kotrans.data.tokenizer import PAD
from kotrans.model.build import build_model
from kotrans.model.incremental.incremental_decoder import IncrementalDecoder
from kotrans.model.seq2seq import Seq2Seq
from kotrans.search.beam import search
from tests.processors import INT8
from tests.tiny_training import tiny_config

CPU = torch.device("cpu")
LENGTHS = [3, 1, 6, 2, 6]


@pytest.fixture
def model(tmp_path: Path) -> Seq2Seq:
    return build_model(tiny_config(tmp_path), 300, 300).eval()


@pytest.mark.parametrize("beam", [1, 4])
def test_every_translation_has_its_given_length(beam: int, model: Seq2Seq) -> None:
    source = pad([[9, 8, 2], [5, 2], [7, 7, 7, 2], [6, 2], [4, 2]])
    config = SearchConfig(beam=beam, max_length_ratio=0, max_length_extra=6)
    found = search(
        GivenLengths(IncrementalDecoder(model), torch.tensor(LENGTHS)), source, source != PAD, config, n_best=beam
    )
    for length, hypotheses in zip(LENGTHS, found, strict=True):
        assert {(len(hypothesis.ids) + 1, hypothesis.finished) for hypothesis in hypotheses} == {(length, True)}


def test_before_the_given_length_only_eos_is_suppressed(model: Seq2Seq) -> None:
    source = pad([[9, 8, 2], [5, 2]])
    given = GivenLengths(IncrementalDecoder(model), torch.tensor([5, 5]))
    plain = IncrementalDecoder(model)
    state, start = given.start(source, source != PAD), plain.start(source, source != PAD)
    previous = torch.tensor([1, 1])
    logits, _, _ = given.step(state, previous)
    expected, _, _ = plain.step(start, previous)
    expected[:, 2] = -torch.inf
    assert torch.equal(logits, expected)


@pytest.mark.parametrize(("beam", "batch", "precision"), [(1, 4, "fp32"), pytest.param(2, 1, "int8", marks=INT8)])
def test_translated_sentences_and_pieces_are_counted(
    beam: int, batch: int, precision: str, model: Seq2Seq, tmp_path: Path
) -> None:
    sentences = SyntheticPairs(tiny_config(tmp_path)).sentences(12)
    figures = measure_search(
        model, sentences, SearchConfig(), CPU, beam=beam, batch=batch, precision=precision, seconds=0,
        report=lambda _: None,
    )  # fmt: skip
    assert (figures.beam, figures.batch, figures.precision) == (beam, batch, precision)
    assert figures.sentences == 3 * batch  # three rounds at least
    if batch == 4:  # of 12: every sentence once
        assert figures.output_tokens == sum(sentence.target_length for sentence in sentences)
    assert figures.tokens_per_second == figures.output_tokens / figures.seconds
    assert figures.sentences_per_second == figures.sentences / figures.seconds
