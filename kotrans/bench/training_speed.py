"""Training speed: timed updates on a stream of batches, a comparison of two implementations, and a profile."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch.profiler import ProfilerActivity, profile

from kotrans.bench.clock import Stopwatch, rounds
from kotrans.bench.figures import Peak, Profile, SpeedComparison, TrainingFigures
from kotrans.config.schema import Config
from kotrans.data.batching import Batch
from kotrans.data.prefetch import Item
from kotrans.data.tokenizer import PAD
from kotrans.model.flops import FlopRates, flop_rates
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.shards import ShardPool
from kotrans.runs.schedule import learning_rate
from kotrans.training.update import build_optimizer, run_update

PRODUCTS = "matrix products"
KERNELS = "recurrent kernels"
OTHER_OPERATIONS = "other operations"
OWN_FUNCTIONS = "kotrans autograd functions"
# Prefixes of operation names; the first match counts.
_KINDS = {
    PRODUCTS: ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "_linear_pointwise", "_reorder_linear_weight"),
    KERNELS: ("mkldnn_rnn", "_cudnn_rnn", "_thnn_fused", "miopen_rnn"),
    "copies, casts, filling": (
        "copy_", "cat", "stack", "fill_", "zero_", "clone", "constant_pad", "gather", "index_select", "_to_copy",
    ),
    "optimizer": ("_fused_adam", "_foreach"),
}  # fmt: skip
_WARM_UP = 2  # updates that are not measured, in which libraries select and compile kernels


class MeasuredTraining:
    """Totals over updates."""

    def __init__(self, rates: FlopRates) -> None:
        self.updates = self.pairs = self.target_tokens = self.flops = 0
        self.phases: dict[str, float] = {}
        self._rates = rates

    def add(self, group: Sequence[Batch]) -> None:
        """Adds the batches of an update."""
        self.updates += 1
        for batch in group:
            self.pairs += len(batch.source)
            self.target_tokens += batch.target_tokens
            source, target = batch.source_mask.sum(1), (batch.labels != PAD).sum(1)  # (B,) each
            self.flops += self._rates.training(source.numpy(), target.numpy())

    def figures(self, peak: Peak) -> TrainingFigures:
        """Returns totals and rates."""
        seconds = sum(self.phases.values())
        return TrainingFigures(
            updates=self.updates, pairs=self.pairs, target_tokens=self.target_tokens, seconds=seconds,
            tokens_per_second=self.target_tokens / seconds, phases=self.phases,
            shares={phase: spent / seconds for phase, spent in self.phases.items()}, flops=self.flops,
            flops_per_second=self.flops / seconds, share_of_peak=self.flops / seconds / peak.flops_per_second,
        )  # fmt: skip


class TrainingBench:
    """A model in training, with the updates that `kotrans train` makes."""

    def __init__(
        self, model: Seq2Seq, stream: Iterator[Item], config: Config,
        *, device: torch.device, precision: str, threads: int,
    ) -> None:  # fmt: skip
        """Training changes the weights and consumes `stream`."""
        self.model = model.train()
        self.stream = stream
        self.config = config
        self.device = device
        self.precision = precision
        self.watch = Stopwatch(device)
        self._optimizer = build_optimizer(model, config.training)
        self._pool = ShardPool.of_batches(threads if device.type == "cpu" else 1, config.batches.tokens)
        self._updates = 0

    @property
    def shards(self) -> int:
        """Number of shards that a batch is split into."""
        return self._pool.count

    def start(self) -> MeasuredTraining:
        """Makes the warm-up updates and returns empty totals."""
        for _ in range(_WARM_UP):
            self.update(self.next_group())
        return MeasuredTraining(flop_rates(self.model))

    def measure(self, seconds: float, report: Callable[[float], None]) -> MeasuredTraining:
        """Trains for the given time, at least three updates; `report` receives the seconds spent so far."""
        measured, waiting, updating = self.start(), 0.0, 0.0
        self.watch = Stopwatch(self.device)
        for _ in rounds(seconds, 3, report):
            self.watch.start()
            group = self.next_group()
            waiting += self.watch.elapsed()
            self.watch.start()
            self.update(group)
            updating += self.watch.elapsed()
            measured.add(group)
        measured.phases = phases(waiting, updating, self.watch.seconds)
        return measured

    def against_plain(self, seconds: float, report: Callable[[float], None]) -> SpeedComparison:
        """Trains on each batch with the fast and the plain path, in alternating order, at least three times."""
        times: dict[bool, list[float]] = {False: [], True: []}
        for plain in (False, True):
            self._timed(self.next_group(), plain=plain)
        for number in rounds(seconds, 3, report):
            group = self.next_group()
            for plain in (False, True) if number % 2 else (True, False):
                times[plain].append(self._timed(group, plain=plain))
        return compare(times[False], times[True])

    def next_group(self) -> list[Batch]:
        """Returns the batches of the next update."""
        return [batch for _, batch in islice(self.stream, self.config.training.accumulate)]

    def update(self, group: Sequence[Batch]) -> None:
        """Makes an update on these batches."""
        self._updates += 1
        run_update(
            self.model, self._optimizer, group, self.config.training, mark=self.watch.mark, pool=self._pool,
            learning_rate=learning_rate(self._updates, self.config.training), precision=self.precision,
            seed=(self.config.seed, self._updates),
        )  # fmt: skip

    def _timed(self, group: Sequence[Batch], *, plain: bool) -> float:
        self.model.train_by_plain_steps(plain)
        self.watch.start()
        self.update(group)
        self.model.train_by_plain_steps(False)
        return self.watch.elapsed()


def phases(waiting: float, updating: float, marked: Mapping[str, float]) -> dict[str, float]:
    """Returns seconds per phase, which add up to the time spent waiting for data and updating.

    marked: forward and backward seconds summed over threads; they divide the time of an update before the optimizer.
    """
    passes = updating - marked["optimizer"]
    forward = passes * marked["forward"] / (marked["forward"] + marked["backward"])
    return {"data": waiting, "forward": forward, "backward": passes - forward, "optimizer": marked["optimizer"]}


def compare(fast: Sequence[float], plain: Sequence[float]) -> SpeedComparison:
    """Compares the seconds of both paths on the same batches."""
    ratios = [slow / quick for quick, slow in zip(fast, plain, strict=True)]
    lower, _, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return SpeedComparison(len(ratios), statistics.median(plain) / statistics.median(fast), lower, upper)


def measure_profile(bench: TrainingBench, peak: Peak, seconds: float, report: Callable[[float], None]) -> Profile:
    """Trains under torch.profiler for the given time, at least three updates.

    The profiler records only the calling thread, so `bench` must use one thread and `peak` be the peak of one.
    """
    measured = bench.start()
    cuda = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities, acc_events=True) as profiler:
        for _ in rounds(seconds, 3, report):
            group = bench.next_group()
            bench.update(group)
            measured.add(group)
    times: dict[str, float] = {}
    for event in profiler.key_averages():
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        times[_kind(event.key)] = times.get(_kind(event.key), 0.0) + spent / 1e6
    return profile_of(times, measured.flops, peak)


def _kind(operation: str) -> str:
    library, _, name = operation.partition("::")
    if library not in ("aten", "mkldnn"):
        return OWN_FUNCTIONS
    return next((kind for kind, prefixes in _KINDS.items() if name.startswith(prefixes)), OTHER_OPERATIONS)


def profile_of(times: Mapping[str, float], flops: int, peak: Peak) -> Profile:
    """Returns a profile from seconds per kind and the model's operations, which are all in products and kernels."""
    total = sum(times.values())
    multiplying = times.get(PRODUCTS, 0.0) + times.get(KERNELS, 0.0)
    return Profile(
        seconds=dict(sorted(times.items(), key=lambda item: -item[1])),
        share_of_peak=flops / total / peak.flops_per_second,
        bound=flops / multiplying / peak.flops_per_second,
        peak=peak,
    )
