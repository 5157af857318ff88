"""The table of `kotrans bench`."""

from dataclasses import replace

from kotrans.bench.figures import (
    Benchmark,
    Data,
    Machine,
    MemoryFigures,
    Peak,
    Profile,
    SearchFigures,
    SpeedComparison,
    TrainingFigures,
)
from kotrans.bench.report import benchmark_table, load_warning

PHASES = {"data": 0.01, "forward": 4.0, "backward": 5.0, "optimizer": 0.99}
RESULTS = Benchmark(
    kotrans="0.1.0", date="2026-01-02T03:04:05.678900+00:00", config="base",
    machine=Machine("Some CPU", None, cores=2, threads=2, torch="2.13.0", load=0.1), device="cpu", precision="fp32",
    parameters=7_500_000, data=Data("prepared", "dataset-6fde41475e8e", 16_000, 4000, 4000),
    training=TrainingFigures(
        updates=5, pairs=600, target_tokens=20_000, seconds=10.0, tokens_per_second=2000.0, phases=PHASES,
        shares={phase: seconds / 10 for phase, seconds in PHASES.items()}, flops=800_000_000_000,
        flops_per_second=80e9, share_of_peak=0.64,
    ),
    memory=MemoryFigures(1_500_000_000, None), peak=Peak(125e9),
    search=(
        SearchFigures("onnxruntime", "fp32", 1, 64, 128, 2560, 2.0, 64.0, 1280.0),
        SearchFigures("torch", "bf16", 1, 1, 10, 200, 2.0, 5.0, 100.0),
        SearchFigures("onnxruntime", "int8", 5, 64, 64, 1280, 4.0, None, None),
    ),
    against_plain=None, profile=None,
)  # fmt: skip
LINES = """\
config   base, 2026-01-02T03:04 UTC, kotrans 0.1.0
machine  Some CPU, 2 cores, 2 threads, torch 2.13.0
model    7,500,000 weights on cpu in fp32
data     16,000 prepared pairs: dataset-6fde41475e8e

training 2,000 target tokens/s (5 updates of 4,000 tokens in 10.0 s)
         64.0% of the matrix peak: 80.0 GFLOP/s of 125.0 GFLOP/s, 40.0 MFLOP per target token
memory   peak 1,500 MB resident

training   seconds  share
data          0.01   0.1%
forward       4.00  40.0%
backward      5.00  50.0%
optimizer     0.99   9.9%

translation                engine  precision  sentences/s  output tokens/s
greedy, 64 at a time  onnxruntime       fp32         64.0            1,280
greedy, one by one          torch       bf16          5.0              100
beam 5, 64 at a time  onnxruntime       int8     too slow         too slow"""


def test_the_table_contains_all_results() -> None:
    assert benchmark_table(RESULTS) == LINES


def test_a_gpu_its_memory_and_a_comparison_are_printed_if_measured() -> None:
    with_gpu = replace(
        RESULTS, machine=replace(RESULTS.machine, gpu="Some GPU"), memory=MemoryFigures(None, 2_000_000_000),
        against_plain=SpeedComparison(6, 1.31, 1.284, 1.336),
    )  # fmt: skip
    text = benchmark_table(with_gpu)
    assert "machine  Some GPU; Some CPU, 2 cores" in text
    assert "\nmemory   peak 2,000 MB on the GPU\n" in text
    assert "  1.31 times as fast as the plain path (6 pairs of measurements, quartiles 1.28 and 1.34)\n" in text


def test_a_warning_appears_only_if_too_few_cores_are_free() -> None:
    for load, threads, busy in ((0.3, 2, False), (1.2, 2, True), (1.2, 1, False), (None, 2, False)):
        machine = replace(RESULTS.machine, load=load, threads=threads)
        assert (load_warning(replace(RESULTS, machine=machine)) is not None) == busy, (load, threads)
    warning = load_warning(replace(RESULTS, machine=replace(RESULTS.machine, load=1.25)))
    assert warning is not None
    assert "load average was 1.2 before the benchmark, with 2 threads on 2 cores" in warning
    assert "\n" not in warning


def test_a_profile_is_printed_between_training_and_translation() -> None:
    seconds = {"matrix products": 3.0, "optimizer": 1.0}
    text = benchmark_table(replace(RESULTS, profile=Profile(seconds, 0.3, 0.4, Peak(62e9))))
    lines = """\
optimizer     0.99   9.9%

one thread       seconds  share
matrix products     3.00  75.0%
optimizer           1.00  25.0%
30.0% of one thread's matrix peak, 62.0 GFLOP/s;
40.0% if everything but matrix products and recurrent kernels took no time

translation                engine  precision"""
    assert lines in text
