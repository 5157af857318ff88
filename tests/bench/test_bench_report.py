"""What `kotrans bench` prints for people."""

from dataclasses import replace

from kotrans.bench.figures import (
    Benchmark,
    Data,
    Machine,
    MemoryFigures,
    Peak,
    Profile,
    ProfilePart,
    SearchFigures,
    SpeedComparison,
    TrainingFigures,
)
from kotrans.bench.report import benchmark_table, load_warning

PHASES = {"data": 0.01, "forward": 4.0, "backward": 5.0, "optimizer": 0.99}
FOUND = Benchmark(
    kotrans="0.1.0", date="2026-01-02T03:04:05.678900+00:00", config="base",
    machine=Machine("Some CPU", None, cores=2, threads=2, torch="2.13.0", load=0.1), device="cpu", precision="fp32",
    parameters=7_500_000, data=Data("prepared", "dataset-6fde41475e8e", 16_000, 4000, 4000),
    training=TrainingFigures(
        updates=5, pairs=600, target_tokens=20_000, seconds=10.0, tokens_per_second=2000.0, phases=PHASES,
        shares={phase: seconds / 10 for phase, seconds in PHASES.items()}, flops=800_000_000_000,
        flops_per_second=80e9, share_of_peak=0.64,
    ),
    memory=MemoryFigures(1_500_000_000, None), peak=Peak(125e9, 2048),
    search=(
        SearchFigures(1, 64, "fp32", 128, 2560, 2.0, 64.0, 1280.0),
        SearchFigures(1, 1, "bf16", 10, 200, 2.0, 5.0, 100.0),
        SearchFigures(5, 64, "int8", 64, 1280, 4.0, 16.0, 320.0),
    ),
    against_plain=None, profile=None,
)  # fmt: skip
LINES = """\
config   base, 2026-01-02T03:04 UTC, kotrans 0.1.0
machine  Some CPU, 2 cores, 2 threads, torch 2.13.0
model    7,500,000 weights on cpu in fp32
data     16,000 prepared pairs: dataset-6fde41475e8e

training 2,000 target tokens/s (5 updates of 4,000 in 10.0 s)
         64.0% of the matrix peak: 80.0 GFLOP/s of 125.0 GFLOP/s, 40.0 MFLOP a target token
memory   1,500 MB resident at most

training   seconds  share
data          0.01   0.1%
forward       4.00  40.0%
backward      5.00  50.0%
optimizer     0.99   9.9%

translation           precision  sentences/s  output tokens/s
greedy, 64 at a time       fp32         64.0            1,280
greedy, one by one         bf16          5.0              100
beam 5, 64 at a time       int8         16.0              320"""


def test_the_table_tells_every_figure_in_its_place() -> None:
    assert benchmark_table(FOUND) == LINES


def test_a_card_and_its_memory_and_a_comparison_are_told_where_there_are_any() -> None:
    card = replace(
        FOUND, machine=replace(FOUND.machine, gpu="Some card"), memory=MemoryFigures(None, 2_000_000_000),
        against_plain=SpeedComparison(6, 1.31, 1.284, 1.336, 1500.0, 2000.0),
    )  # fmt: skip
    text = benchmark_table(card)
    assert "machine  Some card; Some CPU, 2 cores" in text
    assert "\nmemory   2,000 MB on the card at most\n" in text
    assert "\n         1.31 times as fast as the plain path (6 pairs, half of them between 1.28 and 1.34)\n" in text


def test_only_a_machine_that_has_not_enough_cores_left_is_warned_of() -> None:
    for load, threads, busy in ((0.3, 2, False), (1.2, 2, True), (1.2, 1, False), (None, 2, False)):
        machine = replace(FOUND.machine, load=load, threads=threads)
        assert (load_warning(replace(FOUND, machine=machine)) is not None) == busy, (load, threads)
    warning = load_warning(replace(FOUND, machine=replace(FOUND.machine, load=1.25)))
    assert warning is not None
    assert "load average was 1.2 before it began, with 2 threads on 2 cores" in warning
    assert "\n" not in warning


def test_a_profile_is_told_between_training_and_translation() -> None:
    parts = (ProfilePart("matrix products", 3.0, 0.75), ProfilePart("optimizer", 1.0, 0.25))
    text = benchmark_table(replace(FOUND, profile=Profile(parts, 0.3, 0.4, Peak(62e9, 2048))))
    lines = """\
optimizer     0.99   9.9%

one thread       seconds  share
matrix products     3.00  75.0%
optimizer           1.00  25.0%
30.0% of one thread's matrix peak, 62.0 GFLOP/s;
40.0% if all but products and recurrent kernels took no time

translation           precision"""
    assert lines in text
