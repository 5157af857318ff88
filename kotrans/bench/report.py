"""What `kotrans bench` prints for people."""

from collections.abc import Iterator

from kotrans.bench.figures import Benchmark, MemoryFigures, SearchFigures
from kotrans.report.text_table import table


def benchmark_table(benchmark: Benchmark) -> str:
    """Machine, training by phase, memory, the matrix peak, translation."""
    phases = benchmark.training.phases
    rows = [[phase, f"{phases[phase]:.2f}", f"{benchmark.training.shares[phase]:.1%}"] for phase in phases]
    searches = [
        [
            _search(search),
            search.precision,
            f"{search.sentences_per_second:,.1f}",
            f"{search.tokens_per_second:,.0f}",
        ]
        for search in benchmark.search
    ]
    return "\n".join(
        [
            *_heading(benchmark), "", *_training(benchmark), "",
            table(["training", "seconds", "share"], rows), "", *_profile(benchmark),
            table(["translation", "precision", "sentences/s", "output tokens/s"], searches),
        ]
    )  # fmt: skip


def load_warning(benchmark: Benchmark) -> str | None:
    """One line if something else was running; None if the machine was idle."""
    machine = benchmark.machine
    if not machine.busy:
        return None
    return (
        f"the load average was {machine.load:.1f} before it began, with {machine.threads} threads on {machine.cores} "
        "cores: something else is running, and the figures are lower for it"
    )


def _heading(benchmark: Benchmark) -> Iterator[str]:
    machine, data = benchmark.machine, benchmark.data
    card = f"{machine.gpu}; " if machine.gpu else ""
    yield f"config   {benchmark.config}, {benchmark.date[:16]} UTC, kotrans {benchmark.kotrans}"
    yield f"machine  {card}{machine.cpu}, {machine.cores} cores, {machine.threads} threads, torch {machine.torch}"
    yield f"model    {benchmark.parameters:,} weights on {benchmark.device} in {benchmark.precision}"
    yield f"data     {data.pairs:,} {data.kind} pairs: {data.name}"


def _training(benchmark: Benchmark) -> Iterator[str]:
    training, peak, against = benchmark.training, benchmark.peak, benchmark.against_plain
    update = training.target_tokens / training.updates
    yield (
        f"training {training.tokens_per_second:,.0f} target tokens/s "
        f"({training.updates:,} updates of {update:,.0f} in {training.seconds:.1f} s)"
    )
    yield (
        f"         {training.share_of_peak:.1%} of the matrix peak: {_rate(training.flops_per_second)} of "
        f"{_rate(peak.flops_per_second)}, {training.flops / training.target_tokens / 1e6:.1f} MFLOP a target token"
    )
    if against:
        yield (
            f"         {against.ratio:.2f} times as fast as the plain path "
            f"({against.pairs:,} pairs, half of them between {against.lower:.2f} and {against.upper:.2f})"
        )
    yield f"memory   {_memory(benchmark.memory)} at most"


def _profile(benchmark: Benchmark) -> Iterator[str]:
    profile = benchmark.profile
    if profile is None:
        return
    yield table(
        ["one thread", "seconds", "share"], [[p.kind, f"{p.seconds:.2f}", f"{p.share:.1%}"] for p in profile.parts]
    )
    yield f"{profile.share_of_peak:.1%} of one thread's matrix peak, {_rate(profile.peak.flops_per_second)};"
    yield f"{profile.bound:.1%} if all but products and recurrent kernels took no time"
    yield ""


def _memory(memory: MemoryFigures) -> str:
    parts = {"resident": memory.resident, "on the card": memory.cuda}
    return ", ".join(f"{size / 1e6:,.0f} MB {where}" for where, size in parts.items() if size is not None) or "unknown"


def _rate(flops: float) -> str:
    return f"{flops / 1e9:,.1f} GFLOP/s"


def _search(search: SearchFigures) -> str:
    name = "greedy" if search.beam == 1 else f"beam {search.beam}"
    return f"{name}, {'one by one' if search.batch == 1 else f'{search.batch} at a time'}"
