"""Timed updates: the trainer's own, on the batches of the stream, by both paths where that is asked for."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.bench.figures import Peak
from kotrans.bench.random_pairs import SyntheticPairs
from kotrans.bench.training_speed import TrainingBench, compare, phases
from kotrans.config.schema import Config
from kotrans.data.batching import Batch
from kotrans.data.prefetch import Prefetched
from kotrans.data.tokenizer import PAD
from kotrans.model.build import build_model
from kotrans.model.flops import flop_rates
from kotrans.training.update import run_update
from tests.tiny_training import tiny_config

CPU = torch.device("cpu")


class Seen:
    """Calls of `run_update`: by which path, on which batches."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, list[Batch]]] = []

    def __call__(self, model: Any, optimizer: Any, batches: Sequence[Batch], *rest: Any, **options: Any) -> Any:
        self.calls.append((model.decoder.plain, list(batches)))
        return run_update(model, optimizer, batches, *rest, **options)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()
    monkeypatch.setattr("kotrans.bench.training_speed.run_update", seen)
    return seen


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return tiny_config(tmp_path, training={"accumulate": 2})


@pytest.fixture
def bench(config: Config) -> Iterator[TrainingBench]:
    model = build_model(config, 300, 300)
    with closing(Prefetched(SyntheticPairs(config).stream(), CPU)) as stream:
        yield TrainingBench(model, stream, config, device=CPU, precision="fp32", threads=1)


def silent(seconds: float) -> None: ...


def test_every_real_piece_of_the_batches_measured_is_counted_and_the_first_updates_are_not(
    bench: TrainingBench, config: Config, seen: Seen
) -> None:
    measured = bench.measure(0, silent)
    assert len(seen.calls) == 2 + 3
    batches = [batch for _, group in seen.calls[2:] for batch in group]
    expected = [batch for _, batch in islice(SyntheticPairs(config).stream(), 4, 10)]
    assert all(torch.equal(one.target, two.target) for one, two in zip(batches, expected, strict=True))
    rates = flop_rates(bench.model)
    assert measured.updates == 3
    assert measured.pairs == sum(len(batch.source) for batch in batches)
    assert measured.target_tokens == sum(int((batch.target[:, 1:] != PAD).sum()) for batch in batches)
    pairs = [pair for batch in batches for pair in zip(batch.source, batch.labels, strict=True)]
    lengths = [(int((source != PAD).sum()), int((labels != PAD).sum())) for source, labels in pairs]
    assert measured.flops == sum(rates.training([source], [target]) for source, target in lengths)


def test_the_phases_are_all_of_the_time_and_the_rates_follow_from_them(bench: TrainingBench) -> None:
    measured = bench.measure(0, silent)
    measured.phases = {"data": 1.0, "forward": 4.0, "backward": 4.0, "optimizer": 1.0}
    measured.target_tokens, measured.flops = 5000, 8000
    figures = measured.figures(Peak(1600.0, 8))
    assert (figures.seconds, figures.tokens_per_second) == (10, 500)
    assert figures.shares == {"data": 0.1, "forward": 0.4, "backward": 0.4, "optimizer": 0.1}
    assert (figures.flops_per_second, figures.share_of_peak) == (800, 0.5)


def test_an_update_goes_through_forward_and_backward_for_each_batch_and_then_steps(
    bench: TrainingBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks: list[str] = []
    monkeypatch.setattr(bench.watch, "mark", marks.append)
    bench._update(bench._group())
    assert marks == ["forward", "backward", "forward", "backward", "gradients", "optimizer"]


def test_forward_and_backward_divide_the_time_of_the_passes_as_the_threads_divided_theirs() -> None:
    marked = {"forward": 6.0, "backward": 12.0, "gradients": 1.0, "optimizer": 1.0}  # of two threads at once
    assert phases(0.5, 10.0, marked) == {"data": 0.5, "forward": 3.0, "backward": 6.0, "optimizer": 1.0}


def test_both_paths_train_on_the_same_batches_and_take_turns_in_going_first(
    bench: TrainingBench, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kotrans.bench.training_speed.rounds", lambda *_: range(4))
    assert bench.against_plain(0, silent).pairs == 4
    paths = [plain for plain, _ in seen.calls[2:]]
    assert paths == [True, False, False, True, True, False, False, True]
    for first, second in zip(seen.calls[2::2], seen.calls[3::2], strict=True):
        assert [id(batch) for batch in first[1]] == [id(batch) for batch in second[1]]
    assert bench.model.decoder.plain is False


def test_a_comparison_tells_the_ratio_of_the_medians_and_the_middle_half_of_the_pairs() -> None:
    comparison = compare([1.0, 2.0, 1.0, 4.0, 2.0], [2.0, 2.0, 3.0, 16.0, 10.0], tokens=330)
    assert comparison.ratio == 3.0 / 2.0
    assert (comparison.lower, comparison.upper) == (2.0, 4.0)  # of 1, 2, 3, 4 and 5
    assert (comparison.fast_tokens_per_second, comparison.plain_tokens_per_second) == (33, 10)
