"""How fast a model trains: the trainer's own updates on a stream of batches, timed.

Where the time of training goes, by the kind of operation, and how fast it could be at most with its products.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch.profiler import ProfilerActivity, profile

from kotrans.bench.clock import Stopwatch, rounds
from kotrans.bench.figures import Peak, Profile, ProfilePart, SpeedComparison, TrainingFigures
from kotrans.config.schema import Config
from kotrans.data.batching import Batch
from kotrans.data.prefetch import Item
from kotrans.data.tokenizer import PAD
from kotrans.model.flops import FlopRates, flop_rates
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.shards import ShardPool
from kotrans.runs.schedule import learning_rate
from kotrans.training.update import build_optimizer, run_update

_WARM_UP = 2  # updates that are not counted: the libraries choose and make their kernels in them


class TrainingBench:
    """A model in training, update after update."""

    def __init__(
        self,
        model: Seq2Seq,
        stream: Iterator[Item],
        config: Config,
        *,
        device: torch.device,
        precision: str,
        threads: int,
    ) -> None:
        """The model is trained, so that its weights are lost; `stream` is used up as far as it is needed."""
        self.model = model.train()
        self.stream = stream
        self.config = config
        self.device = device
        self.precision = precision
        self.watch = Stopwatch(device)
        self._optimizer = build_optimizer(model, config.training)
        self._shares = ShardPool.of_batches(threads if device.type == "cpu" else 1, config.batches.tokens)
        self._updates = 0

    def measure(self, seconds: float, tell: Callable[[float], None]) -> "MeasuredTraining":
        """Trains for so many seconds, at least three updates; `tell` hears the seconds spent."""
        measured, waited, spent = self.measured(), 0.0, 0.0
        self.watch = Stopwatch(self.device)
        for _ in rounds(seconds, 3, tell):
            self.watch.start()
            group = self._group()
            waited += self.watch.passed()
            self.watch.start()
            self._update(group)
            spent += self.watch.passed()
            measured.add(group)
        measured.phases = phases(waited, spent, self.watch.seconds)
        return measured

    @property
    def shares(self) -> int:
        """In how many shares a batch is dealt to the threads."""
        return self._shares.count

    def measured(self) -> "MeasuredTraining":
        """No updates yet, after those that are not counted."""
        for _ in range(_WARM_UP):
            self.update()
        return MeasuredTraining(flop_rates(self.model))

    def update(self) -> list[Batch]:
        """Makes an update, and gives its batches."""
        group = self._group()
        self._update(group)
        return group

    def against_plain(self, seconds: float, tell: Callable[[float], None]) -> SpeedComparison:
        """Trains on each batch by both paths, the first one changing, for so many seconds, at least three batches."""
        times: dict[bool, list[float]] = {False: [], True: []}
        tokens = 0
        for plain in (False, True):
            self._timed(self._group(), plain=plain)
        for number in rounds(seconds, 3, tell):
            group = self._group()
            tokens += sum(batch.target_tokens for batch in group)
            for plain in (False, True) if number % 2 else (True, False):
                times[plain].append(self._timed(group, plain=plain))
        return compare(times[False], times[True], tokens)

    def _group(self) -> list[Batch]:
        """The batches of the next update."""
        return [batch for _, batch in islice(self.stream, self.config.training.accumulate)]

    def _timed(self, group: Sequence[Batch], *, plain: bool) -> float:
        self.model.train_by_plain_steps(plain)
        self.watch.start()
        self._update(group)
        self.model.train_by_plain_steps(False)
        return self.watch.passed()

    def _update(self, group: Sequence[Batch]) -> None:
        self._updates += 1
        run_update(
            self.model, self._optimizer, group, self.config.training, mark=self.watch.mark, shares=self._shares,
            learning_rate=learning_rate(self._updates, self.config.training, 1.0), precision=self.precision,
            seed=(self.config.seed, self._updates),
        )  # fmt: skip


class MeasuredTraining:
    """Sums over updates."""

    def __init__(self, rates: FlopRates) -> None:
        self.updates = self.pairs = self.target_tokens = self.flops = 0
        self.phases: dict[str, float] = {}
        self._rates = rates

    def add(self, group: Sequence[Batch]) -> None:
        """One more update's batches."""
        self.updates += 1
        for batch in group:
            self.pairs += len(batch.source)
            self.target_tokens += batch.target_tokens
            source, target = batch.source_mask.sum(1), (batch.labels != PAD).sum(1)  # (B,) each
            self.flops += self._rates.training(source.numpy(), target.numpy())

    def figures(self, peak: Peak) -> TrainingFigures:
        """What it comes to on a machine with this peak."""
        seconds = sum(self.phases.values())
        return TrainingFigures(
            updates=self.updates,
            pairs=self.pairs,
            target_tokens=self.target_tokens,
            seconds=seconds,
            tokens_per_second=self.target_tokens / seconds,
            phases=self.phases,
            shares={phase: spent / seconds for phase, spent in self.phases.items()},
            flops=self.flops,
            flops_per_second=self.flops / seconds,
            share_of_peak=self.flops / seconds / peak.flops_per_second,
        )


def phases(waited: float, spent: float, marked: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each phase, which add up to `waited` for data and `spent` in updates.

    `marked` has forward and backward in the time of all threads together; they go on at once, and what the updates
    spent but for the optimizer is divided as theirs is.
    """
    passes = spent - marked["optimizer"]
    forward = passes * marked["forward"] / (marked["forward"] + marked["backward"])
    return {"data": waited, "forward": forward, "backward": passes - forward, "optimizer": marked["optimizer"]}


def compare(fast: Sequence[float], plain: Sequence[float], tokens: int) -> SpeedComparison:
    """From the seconds of both paths on the same batches, of `tokens` target tokens together."""
    ratios = [slow / quick for quick, slow in zip(fast, plain, strict=True)]
    lower, _, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return SpeedComparison(
        pairs=len(ratios),
        ratio=statistics.median(plain) / statistics.median(fast),
        lower=lower,
        upper=upper,
        plain_tokens_per_second=tokens / sum(plain),
        fast_tokens_per_second=tokens / sum(fast),
    )


PRODUCTS = "matrix products"
KERNELS = "recurrent kernels"
COPIES = "copies, casts, filling"
OPTIMIZER = "optimizer"
OTHERS = "element by element"
OUR_OWN = "between the operations"

# Operations by the beginnings of their names; the first that fits.
_KINDS = (
    (PRODUCTS, ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "_linear_pointwise", "_reorder_linear_weight")),
    (KERNELS, ("mkldnn_rnn", "_cudnn_rnn", "_thnn_fused", "miopen_rnn")),
    (
        COPIES,
        ("copy_", "cat", "stack", "fill_", "zero_", "clone", "constant_pad", "gather", "index_select", "_to_copy"),
    ),
    (OPTIMIZER, ("_fused_adam", "_foreach")),
)
_LIBRARY = ("aten::", "mkldnn::")


def measure_profile(bench: TrainingBench, peak: Peak, seconds: float, tell: Callable[[float], None]) -> Profile:
    """Trains for so many seconds under the library's profiler, at least three updates; `tell` hears the seconds spent.

    The profiler sees the thread that it was started in: give a bench of one thread, and its peak.
    """
    measured = bench.measured()
    with profile(activities=_activities(bench.device), acc_events=True) as profiler:
        for _ in rounds(seconds, 3, tell):
            measured.add(bench.update())
    times: dict[str, float] = {}
    for event in profiler.key_averages():
        spent = event.self_device_time_total if bench.device.type == "cuda" else event.self_cpu_time_total
        times[kind_of(event.key)] = times.get(kind_of(event.key), 0.0) + spent / 1e6
    return profile_of(times, measured.flops, peak)


def kind_of(operation: str) -> str:
    """The kind of an operation of the library; what is not one is our own code, and what calls it."""
    if not operation.startswith(_LIBRARY):
        return OUR_OWN
    name = operation.partition("::")[2]
    return next((kind for kind, beginnings in _KINDS if name.startswith(beginnings)), OTHERS)


def profile_of(times: dict[str, float], flops: int, peak: Peak) -> Profile:
    """From the seconds of each kind and the model's operations in them, all of which are in products and kernels."""
    total = sum(times.values())
    multiplying = times.get(PRODUCTS, 0.0) + times.get(KERNELS, 0.0)
    parts = sorted(times.items(), key=lambda part: -part[1])
    return Profile(
        parts=tuple(ProfilePart(kind, spent, spent / total) for kind, spent in parts),
        share_of_peak=flops / total / peak.flops_per_second,
        bound=flops / multiplying / peak.flops_per_second,
        peak=peak,
    )


def _activities(device: torch.device) -> list[ProfilerActivity]:
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
