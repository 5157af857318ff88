"""Batches: every pair, within the budget, in a reproducible order."""

from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kotrans.config.sections import BatchConfig, TokenizerConfig
from kotrans.data.batching import (
    Batch,
    Batches,
    Plan,
    Sampling,
    pad,
    padding_share,
    plan_epoch,
    plan_in_order,
)
from kotrans.data.build_dataset import prepare_dataset
from kotrans.data.dataset import Dataset, Position
from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.data.tokenizer import BOS, EOS, PAD, Tokenizer, Vocabulary
from tests.small_corpus import sentences, small_tokenizer, write_corpus

Integers = npt.NDArray[np.int64]
LENGTHS = st.lists(st.tuples(st.integers(2, 60), st.integers(2, 60)), min_size=1, max_size=80)
CONFIG = BatchConfig(tokens=120, max_pieces=40)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"), TokenizerConfig(vocabulary_size=400))


@pytest.fixture(scope="module")
def dataset(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("dataset")
    corpus = write_corpus(folder / "corpus", {"train": sentences(60, seed=5), "dev": sentences(5, seed=6)})
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, CONFIG, folder / "made")
    return Dataset.open(folder / "made", "train")


def positions_of(batches: Batches, epoch: int) -> list[Position]:
    return [Position(epoch, batch) for batch in range(len(batches.plan(epoch)))]


def sides(pairs: list[tuple[int, int]]) -> tuple[Integers, Integers]:
    lengths = np.array(pairs, dtype=np.int64)
    return lengths[:, 0], lengths[:, 1]


def realistic_lengths(count: int) -> tuple[Integers, Integers]:
    """Long-tailed lengths, similar on both sides of a pair."""
    random = np.random.default_rng(0)
    target = random.lognormal(3.0, 0.55, count)
    source = target * random.lognormal(0.0, 0.25, count)
    return source.clip(2, 101).astype(np.int64), target.clip(2, 101).astype(np.int64)


def same(first: Plan, second: Plan) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


@given(LENGTHS, st.integers(16, 400), st.integers(0, 2**31 - 1), st.integers(0, 1000))
def test_an_epoch_holds_every_pair_once(pairs: list[tuple[int, int]], tokens: int, seed: int, epoch: int) -> None:
    plan = plan_epoch(*sides(pairs), tokens, [seed, epoch])
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(pairs)))
    in_order = plan_in_order(*sides(pairs), tokens)
    assert sorted(np.concatenate(in_order).tolist()) == list(range(len(pairs)))


@given(LENGTHS, st.integers(16, 400), st.integers(0, 2**31 - 1))
def test_a_batch_fits_the_budget_unless_it_is_one_long_pair(
    pairs: list[tuple[int, int]], tokens: int, seed: int
) -> None:
    source, target = sides(pairs)
    for batch in [*plan_epoch(source, target, tokens, [seed]), *plan_in_order(source, target, tokens)]:
        assert len(batch) > 0
        longest = max(source[batch].max(), target[batch].max())
        assert len(batch) * longest <= tokens or len(batch) == 1


def test_a_batch_takes_as_many_pairs_as_the_budget_holds() -> None:
    lengths = np.full(8, 5)
    assert [len(batch) for batch in plan_in_order(lengths, lengths, 20)] == [4, 4]


@given(LENGTHS, st.integers(16, 400), st.integers(0, 2**31 - 1), st.integers(0, 1000))
def test_the_plan_is_a_pure_function_of_its_arguments(
    pairs: list[tuple[int, int]], tokens: int, seed: int, epoch: int
) -> None:
    first = plan_epoch(*sides(pairs), tokens, [seed, epoch], np.full(len(pairs), 1.5))
    np.random.default_rng().random()
    plan_epoch(*sides(pairs), tokens, [seed + 1, epoch])
    assert same(first, plan_epoch(*sides(pairs), tokens, [seed, epoch], np.full(len(pairs), 1.5)))


def test_epochs_and_seeds_differ_in_order_and_in_batches() -> None:
    lengths = realistic_lengths(2000)
    first = plan_epoch(*lengths, 512, seed=[1, 0])
    for other in (plan_epoch(*lengths, 512, seed=[1, 1]), plan_epoch(*lengths, 512, seed=[2, 0])):
        together = {frozenset(batch.tolist()) for batch in first} & {frozenset(batch.tolist()) for batch in other}
        assert len(together) < 0.1 * len(first)


def test_batches_are_not_ordered_by_length() -> None:
    source, target = realistic_lengths(5000)
    means = [target[batch].mean() for batch in plan_epoch(source, target, 1024, seed=[1])]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("count", "tokens", "most"), [(250_000, 4096, 0.02), (12_000, 2048, 0.08), (12_000, 4096, 0.11)]
)
def test_little_is_padding_on_realistic_lengths(count: int, tokens: int, most: float) -> None:
    lengths = realistic_lengths(count)
    shares = padding_share(plan_epoch(*lengths, tokens, seed=[1]), *lengths)
    assert shares.both < most
    assert shares.target < shares.source  # the target's costs more


def test_the_padding_share_is_that_of_the_tensors(dataset: Dataset) -> None:
    batches = Batches(dataset, CONFIG, seed=1)
    plan = batches.plan(0)
    tensors = [batch for _, batch in islice(batches.start_at(Position()), len(plan))]
    shares = padding_share(plan, dataset.source_lengths, dataset.target_lengths)
    source = torch.cat([batch.source_mask.flatten() for batch in tensors])
    target = torch.cat([(batch.labels != PAD).flatten() for batch in tensors])
    assert shares.source == pytest.approx(1 - source.double().mean().item())
    assert shares.target == pytest.approx(1 - target.double().mean().item())
    assert shares.both == pytest.approx(1 - torch.cat([source, target]).double().mean().item())
    assert sum(batch.target_tokens for batch in tensors) == dataset.target_lengths.sum()


@given(st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.75, 2.0, 3.0]), min_size=1, max_size=50), st.integers(0, 1000))
def test_a_pair_of_weight_w_occurs_w_times_rounded_down_or_up(weights: list[float], epoch: int) -> None:
    lengths = np.full(len(weights), 5)
    plan = plan_epoch(lengths, lengths, 64, seed=[1, epoch], weights=np.array(weights))
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *plan]), minlength=len(weights))
    assert all(np.floor(weight) <= count <= np.ceil(weight) for weight, count in zip(weights, counts, strict=True))


def test_the_fraction_of_a_weight_is_the_probability_of_one_more_copy_in_each_epoch() -> None:
    lengths = np.full(4000, 5)
    drawn = [
        np.bincount(np.concatenate(plan_epoch(lengths, lengths, 4096, [1, epoch], weights=1.3)), minlength=4000)
        for epoch in range(2)
    ]
    assert 1.25 < drawn[0].mean() < 1.35
    assert (drawn[0] == drawn[1]).mean() == pytest.approx(0.3**2 + 0.7**2, abs=0.05)


def test_the_weight_of_a_pair_is_that_of_its_corpus(dataset: Dataset) -> None:
    plan = Batches(dataset, CONFIG, seed=1, weights=[3.0, 1.0]).plan(0)
    counts = np.bincount(np.concatenate(plan))
    assert counts.tolist() == [3 if origin == 0 else 1 for origin in dataset.origins]


@pytest.mark.parametrize("strength", [0.0, 0.3])
@settings(max_examples=10)
@given(skipped=st.integers(0, 20), data=st.data())
def test_resuming_after_any_batch_yields_exactly_the_remaining_batches(
    dataset: Dataset, tokenizer: Tokenizer, strength: float, skipped: int, data: st.DataObject
) -> None:
    sampling = Sampling(tokenizer, strength) if strength else None
    start = data.draw(st.sampled_from(positions_of(Batches(dataset, CONFIG, seed=3, weights=[1.0, 0.5]), 2)))

    def stream(position: Position, count: int) -> list[tuple[Position, Batch]]:
        batches = Batches(dataset, CONFIG, seed=3, weights=[1.0, 0.5], sampling=sampling)
        return list(islice(batches.start_at(position), count))

    straight = stream(start, skipped + 10)
    rest = stream(straight[skipped - 1][0] if skipped else start, 10)
    for (expected_position, expected), (position, batch) in zip(straight[skipped:], rest, strict=True):
        assert position == expected_position
        assert torch.equal(batch.source, expected.source)
        assert torch.equal(batch.target, expected.target)


def test_positions_count_the_batches_of_an_epoch_and_then_start_the_next_epoch(dataset: Dataset) -> None:
    batches = Batches(dataset, CONFIG, seed=1)
    expected = [*positions_of(batches, 0), *positions_of(batches, 1)]
    after = [position for position, _ in islice(batches.start_at(Position()), len(expected) - 1)]
    assert after == expected[1:]


def test_every_epoch_holds_every_pair_once(dataset: Dataset) -> None:
    batches = Batches(dataset, CONFIG, seed=1)
    for epoch in range(5):
        assert sorted(np.concatenate(batches.plan(epoch))) == list(range(len(dataset)))


@given(LENGTHS, st.integers(1, 80), st.integers(0, 100))
def test_sorting_in_chunks_keeps_every_pair_and_the_budget(
    pairs: list[tuple[int, int]], sorted_at_once: int, seed: int
) -> None:
    source, target = sides(pairs)
    plan = plan_epoch(source, target, 64, [seed], sorted_at_once=sorted_at_once)
    assert sorted(np.concatenate(plan)) == list(range(len(pairs)))
    for batch in plan:
        assert len(batch) == 1 or max(source[batch].max(), target[batch].max()) * len(batch) <= 64


def test_epochs_and_seeds_have_different_batches(dataset: Dataset) -> None:
    def batches(seed: int, epoch: int) -> frozenset[frozenset[int]]:
        return frozenset(frozenset(batch.tolist()) for batch in Batches(dataset, CONFIG, seed).plan(epoch))

    assert batches(1, 0) == batches(1, 0)
    # The pairs are so few that two may be cut alike.
    assert len({batches(1, epoch) for epoch in range(10)}) > 5
    assert len({batches(seed, 0) for seed in range(10)}) > 5


def test_the_share_of_an_epoch_that_is_done_grows_by_one_batch_at_a_time(dataset: Dataset) -> None:
    positions = positions_of(Batches(dataset, CONFIG, seed=1), 2)
    shares = [Batches(dataset, CONFIG, seed=1).share_done(position) for position in positions]
    assert shares == [number / len(positions) for number in range(len(positions))]


def test_the_outline_of_an_epoch_has_its_batches_and_padding(dataset: Dataset) -> None:
    batches = Batches(dataset, CONFIG, seed=1)
    outline, plan = batches.outline(0), batches.plan(0)
    padding = padding_share(plan, dataset.source_lengths, dataset.target_lengths)
    assert (outline.batches, outline.padding) == (len(plan), padding)


def test_batches_hold_the_dataset_s_pairs(dataset: Dataset) -> None:
    batches = Batches(dataset, CONFIG, seed=1)
    plan = batches.plan(0)
    for pairs, (_, batch) in zip(plan, batches.start_at(Position()), strict=False):
        for row, pair in enumerate(pairs):
            source, target = dataset.source(pair).tolist(), dataset.target(pair).tolist()
            assert batch.source[row][batch.source_mask[row]].tolist() == source
            assert batch.target[row][: len(target) + 1].tolist() == [BOS, *target]
            assert not batch.target[row][len(target) + 1 :].any()


def test_labels_are_the_inputs_one_step_later() -> None:
    batch = Batch.of([[7, 8, EOS], [9, EOS]], [[4, EOS], [5, 6, 7, EOS]])
    assert batch.source.tolist() == [[7, 8, EOS], [9, EOS, PAD]]
    assert batch.source_mask.tolist() == [[True, True, True], [True, True, False]]
    assert batch.inputs.tolist() == [[BOS, 4, EOS, PAD], [BOS, 5, 6, 7]]
    assert batch.labels.tolist() == [[4, EOS, PAD, PAD], [5, 6, 7, EOS]]
    assert batch.target_tokens == 6
    assert batch.source.dtype == batch.target.dtype == torch.int64
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.target, batch.target)


def test_padding_nothing_gives_an_empty_tensor() -> None:
    assert pad([]).shape == (0, 0)
    assert pad([[], [5]], begin=BOS).tolist() == [[BOS, PAD], [BOS, 5]]


def test_sampled_batches_have_the_same_text_in_other_pieces(dataset: Dataset, tokenizer: Tokenizer) -> None:
    plain = Batches(dataset, CONFIG, seed=1)
    sampled = Batches(dataset, CONFIG, seed=1, sampling=Sampling(tokenizer, 0.3))

    def texts(batch: Batch) -> list[tuple[str, str]]:
        rows = zip(batch.source.tolist(), batch.target.tolist(), strict=True)
        return [(tokenizer.source.decode(source), tokenizer.target.decode(target)) for source, target in rows]

    pairs = list(zip(plain.plan(0), plain.start_at(Position()), sampled.start_at(Position()), strict=False))
    for _, (_, stored), (_, other) in pairs:
        assert texts(other) == texts(stored)
        assert (other.source == EOS).sum() == len(other.source)
    assert any(not torch.equal(stored.source, other.source) for _, (_, stored), (_, other) in pairs)


def test_every_batch_is_sampled_with_its_own_seed(
    dataset: Dataset, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def record(self: Vocabulary, ids: list[list[int]], strength: float, seed: int) -> list[list[int]]:
        seeds.append(seed)
        return ids

    monkeypatch.setattr(Vocabulary, "sample", record)
    batches = Batches(dataset, CONFIG, seed=1, sampling=Sampling(tokenizer, 0.3))
    list(islice(batches.start_at(Position()), 40))
    assert len(set(seeds)) == len(seeds) == 80


def test_sampling_differs_between_epochs(tokenizer: Tokenizer, tmp_path: Path) -> None:
    source, target = sentences(12, seed=8)
    pair = " ".join(source[:2]), " ".join(target[:2])
    long = " ".join(source), " ".join(target)
    corpus = write_corpus(tmp_path / "corpus", {"train": ([pair[0], long[0]], [pair[1], long[1]])})
    config = BatchConfig(tokens=4096, max_pieces=400)
    prepare_dataset(PreparedCorpus.read(corpus), tokenizer, config, tmp_path / "made")
    batches = Batches(Dataset.open(tmp_path / "made", "train"), config, seed=1, sampling=Sampling(tokenizer, 0.3))
    one_batch_an_epoch = islice(batches.start_at(Position()), 12)
    drawn = {str(max(batch.source.tolist(), key=lambda row: row.count(PAD))) for _, batch in one_batch_an_epoch}
    assert len(drawn) > 6  # the two rows have two orders, so equal seeds would give at most two


def test_a_sampled_sentence_is_never_longer_than_the_dataset_s_longest_nor_twice_its_batch_s(
    dataset: Dataset, tokenizer: Tokenizer
) -> None:
    plain, sampled = (
        Batches(dataset, CONFIG, seed=1, sampling=sampling) for sampling in (None, Sampling(tokenizer, 0.9))
    )
    longer = 0
    for (_, stored), (_, other) in islice(
        zip(plain.start_at(Position()), sampled.start_at(Position()), strict=True), 60
    ):
        for side, longest in (("source", dataset.counts.longest_source), ("target", dataset.counts.longest_target)):
            before, after = ((getattr(batch, side) > BOS).sum(1).max() for batch in (stored, other))
            assert after <= min(longest, 2 * before)
            longer += int(after > before)
    assert longer > 10
