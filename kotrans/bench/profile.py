"""Where the time of training goes, by the kind of operation, and how fast it could be at most with its products."""

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from kotrans.bench.clock import rounds
from kotrans.bench.figures import Peak, Profile, ProfilePart
from kotrans.bench.training_speed import TrainingBench

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
