"""Synthetic pairs."""

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.data.tokenizer import EOS, PAD, UNK
from tests.tiny_training import tiny_config


def test_pairs_are_a_pure_function_of_the_config(tmp_path: Path) -> None:
    one, two = (SyntheticPairs(tiny_config(tmp_path)) for _ in range(2))
    for (position, batch), (again, same) in islice(zip(one.stream(), two.stream(), strict=True), 5):
        assert position == again
        assert torch.equal(batch.source, same.source)
        assert torch.equal(batch.target, same.target)
    other = next(SyntheticPairs(tiny_config(tmp_path, seed=2)).stream())[1]
    assert not torch.equal(next(one.stream())[1].target, other.target)


def test_batches_fit_the_budget_and_rows_are_vocabulary_pieces_followed_by_eos(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, batches={"tokens": 400, "max_pieces": 40})
    for _, batch in islice(SyntheticPairs(config).stream(), 50):
        assert batch.labels.numel() <= 400
        assert batch.source.numel() <= 400
        for ids, mask in ((batch.source, batch.source_mask), (batch.labels, batch.labels != PAD)):
            ends = (mask.sum(1) - 1).unsqueeze(1)
            assert bool((ids.gather(1, ends) == EOS).all())
            others = ids.masked_fill(~mask, UNK + 1).scatter(1, ends, UNK + 1)
            assert UNK < int(others.min()) <= int(others.max()) < config.tokenizer.vocabulary_size


def test_lengths_follow_the_distribution_in_the_description(tmp_path: Path) -> None:
    pairs = SyntheticPairs(tiny_config(tmp_path, batches={"max_pieces": 100}))
    target = np.log(pairs.target_lengths)
    ratio = np.log(pairs.source_lengths / pairs.target_lengths)
    name = pairs.describe().name
    assert f"target median {np.median(pairs.target_lengths):.0f}, sigma {target.std():.2f}" in name
    assert f"source/target ratio {np.exp(np.median(ratio)):.0f}, sigma {round(float(ratio.std()), 2):.2f}" in name
    assert int(pairs.target_lengths.max()) <= 101


def test_sources_are_not_longer_than_location_attention_allows(tmp_path: Path) -> None:
    attention = {"score": "location", "max_source_length": 9}
    pairs = SyntheticPairs(tiny_config(tmp_path, attention=attention))
    assert int(pairs.source_lengths.max()) == 9
    assert max(len(sentence.source) for sentence in pairs.sentences(100)) <= 9


def test_sentences_have_the_lengths_of_the_pairs(tmp_path: Path) -> None:
    pairs = SyntheticPairs(tiny_config(tmp_path))
    sentences = pairs.sentences(30)
    assert [len(sentence.source) for sentence in sentences] == pairs.source_lengths[:30].tolist()
    assert [sentence.target_length for sentence in sentences] == pairs.target_lengths[:30].tolist()
