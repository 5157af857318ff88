"""Training speed, and the comparison of the fast and the plain path."""

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

pytestmark = pytest.mark.e2e

CPU = torch.device("cpu")


class Recorder:
    """Records calls of `run_update`: the path and the batches."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, list[Batch]]] = []

    def __call__(self, model: Any, optimizer: Any, batches: Sequence[Batch], *rest: Any, **options: Any) -> Any:
        self.calls.append((model.decoder.plain, list(batches)))
        return run_update(model, optimizer, batches, *rest, **options)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("kotrans.bench.training_speed.run_update", recorder)
    return recorder


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return tiny_config(tmp_path, training={"accumulate": 2})


@pytest.fixture
def bench(config: Config) -> Iterator[TrainingBench]:
    model = build_model(config, 300, 300)
    with closing(Prefetched(SyntheticPairs(config).stream(), CPU)) as stream:
        yield TrainingBench(model, stream, config, device=CPU, precision="fp32", threads=1)


def silent(seconds: float) -> None: ...


def test_all_pieces_of_measured_batches_are_counted_without_padding_and_warm_up(
    bench: TrainingBench, config: Config, recorder: Recorder
) -> None:
    measured = bench.measure(0, silent)
    assert len(recorder.calls) == 2 + 3
    batches = [batch for _, group in recorder.calls[2:] for batch in group]
    expected = [batch for _, batch in islice(SyntheticPairs(config).stream(), 4, 10)]
    assert all(torch.equal(one.target, two.target) for one, two in zip(batches, expected, strict=True))
    rates = flop_rates(bench.model)
    assert measured.updates == 3
    assert measured.pairs == sum(len(batch.source) for batch in batches)
    assert measured.target_tokens == sum(int((batch.target[:, 1:] != PAD).sum()) for batch in batches)
    pairs = [pair for batch in batches for pair in zip(batch.source, batch.labels, strict=True)]
    lengths = [(int((source != PAD).sum()), int((labels != PAD).sum())) for source, labels in pairs]
    assert measured.flops == sum(rates.training([source], [target]) for source, target in lengths)


def test_rates_are_totals_divided_by_the_sum_of_the_phases(bench: TrainingBench) -> None:
    measured = bench.measure(0, silent)
    measured.phases = {"data": 1.0, "forward": 4.0, "backward": 4.0, "optimizer": 1.0}
    measured.target_tokens, measured.flops = 5000, 8000
    figures = measured.figures(Peak(1600.0))
    assert (figures.seconds, figures.tokens_per_second) == (10, 500)
    assert figures.shares == {"data": 0.1, "forward": 0.4, "backward": 0.4, "optimizer": 0.1}
    assert (figures.flops_per_second, figures.share_of_peak) == (800, 0.5)


def test_an_update_marks_forward_and_backward_of_each_batch_and_then_the_optimizer(
    bench: TrainingBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks: list[str] = []
    monkeypatch.setattr(bench.watch, "mark", marks.append)
    bench.update(bench.next_group())
    assert marks == ["forward", "backward", "forward", "backward", "gradients", "optimizer"]


def test_forward_and_backward_are_in_proportion_to_their_sums_over_threads() -> None:
    marked = {"forward": 6.0, "backward": 12.0, "gradients": 1.0, "optimizer": 1.0}  # of two threads at once
    assert phases(0.5, 10.0, marked) == {"data": 0.5, "forward": 3.0, "backward": 6.0, "optimizer": 1.0}


def test_both_paths_train_on_the_same_batches_in_alternating_order(
    bench: TrainingBench, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kotrans.bench.training_speed.rounds", lambda *_: range(4))
    assert bench.against_plain(0, silent).pairs == 4
    paths = [plain for plain, _ in recorder.calls[2:]]
    assert paths == [True, False, False, True, True, False, False, True]
    for first, second in zip(recorder.calls[2::2], recorder.calls[3::2], strict=True):
        assert [id(batch) for batch in first[1]] == [id(batch) for batch in second[1]]
    assert bench.model.decoder.plain is False


def test_a_comparison_has_the_ratio_of_medians_and_the_quartiles_of_the_ratios() -> None:
    comparison = compare([1.0, 2.0, 1.0, 4.0, 2.0], [2.0, 2.0, 3.0, 16.0, 10.0])
    assert comparison.ratio == 3.0 / 2.0
    assert (comparison.lower, comparison.upper) == (2.0, 4.0)  # of 1, 2, 3, 4 and 5
