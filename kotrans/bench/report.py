"""The table that `kotrans bench` prints."""

from collections.abc import Iterator

from kotrans.bench.figures import Benchmark, MemoryFigures, SearchFigures
from kotrans.report.text_table import table


def benchmark_table(benchmark: Benchmark) -> str:
    """Returns the machine, training speed by phase, memory, matrix peak and translation speed as text."""
    training = benchmark.training
    phases = [[phase, f"{spent:.2f}", f"{training.shares[phase]:.1%}"] for phase, spent in training.phases.items()]
    searches = [
        [
            _search(each),
            each.engine,
            each.precision,
            _speed(each.sentences_per_second, 1),
            _speed(each.tokens_per_second, 0),
        ]
        for each in benchmark.search
    ]
    return "\n".join(
        [
            *_heading(benchmark), "", *_training(benchmark), "",
            table(["training", "seconds", "share"], phases), "", *_profile(benchmark),
            table(["translation", "engine", "precision", "sentences/s", "output tokens/s"], searches),
        ]
    )  # fmt: skip


def load_warning(benchmark: Benchmark) -> str | None:
    """Returns a warning if other programs were running, else None."""
    machine = benchmark.machine
    if machine.load is None or machine.load <= machine.cores - machine.threads + 0.5:
        return None
    return (
        f"the load average was {machine.load:.1f} before the benchmark, with {machine.threads} threads on "
        f"{machine.cores} cores: other programs are running and lower the results"
    )


def _heading(benchmark: Benchmark) -> Iterator[str]:
    machine, data = benchmark.machine, benchmark.data
    gpu = f"{machine.gpu}; " if machine.gpu else ""
    yield f"config   {benchmark.config}, {benchmark.date[:16]} UTC, kotrans {benchmark.kotrans}"
    yield f"machine  {gpu}{machine.cpu}, {machine.cores} cores, {machine.threads} threads, torch {machine.torch}"
    yield f"model    {benchmark.parameters:,} weights on {benchmark.device} in {benchmark.precision}"
    yield f"data     {data.pairs:,} {data.kind} pairs: {data.name}"


def _training(benchmark: Benchmark) -> Iterator[str]:
    training, peak, against = benchmark.training, benchmark.peak, benchmark.against_plain
    yield (
        f"training {training.tokens_per_second:,.0f} target tokens/s ({training.updates:,} updates of "
        f"{training.target_tokens / training.updates:,.0f} tokens in {training.seconds:.1f} s)"
    )
    yield (
        f"         {training.share_of_peak:.1%} of the matrix peak: {_rate(training.flops_per_second)} of "
        f"{_rate(peak.flops_per_second)}, {training.flops / training.target_tokens / 1e6:.1f} MFLOP per target token"
    )
    if against:
        yield (
            f"         {against.ratio:.2f} times as fast as the plain path "
            f"({against.pairs:,} pairs of measurements, quartiles {against.lower:.2f} and {against.upper:.2f})"
        )
    yield f"memory   peak {_memory(benchmark.memory)}"


def _profile(benchmark: Benchmark) -> Iterator[str]:
    profile = benchmark.profile
    if profile is None:
        return
    total = sum(profile.seconds.values())
    rows = [[kind, f"{spent:.2f}", f"{spent / total:.1%}"] for kind, spent in profile.seconds.items()]
    yield table(["one thread", "seconds", "share"], rows)
    yield f"{profile.share_of_peak:.1%} of one thread's matrix peak, {_rate(profile.peak.flops_per_second)};"
    yield f"{profile.bound:.1%} if everything but matrix products and recurrent kernels took no time"
    yield ""


def _memory(memory: MemoryFigures) -> str:
    parts = {"resident": memory.resident, "on the GPU": memory.cuda}
    return ", ".join(f"{size / 1e6:,.0f} MB {where}" for where, size in parts.items() if size is not None) or "unknown"


def _rate(flops: float) -> str:
    return f"{flops / 1e9:,.1f} GFLOP/s"


def _speed(value: float | None, digits: int) -> str:
    return "too slow" if value is None else f"{value:,.{digits}f}"


def _search(search: SearchFigures) -> str:
    name = "greedy" if search.beam == 1 else f"beam {search.beam}"
    return f"{name}, {'one by one' if search.batch == 1 else f'{search.batch} at a time'}"
