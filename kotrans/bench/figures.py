"""What `kotrans bench` finds: the names here are the keys of its JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    cpu: str
    gpu: str | None
    """The card, if it was measured on one."""
    cores: int
    """CPU cores that the process may use, by affinity and quota."""
    threads: int
    """CPU threads that computed."""
    torch: str
    """Version."""
    load: float | None
    """Load average of the minute before; null where the system has none."""

    @property
    def busy(self) -> bool:
        """Whether what else was running left fewer cores than there are threads."""
        return self.load is not None and self.load > self.cores - self.threads + 0.5


@dataclass(frozen=True)
class Data:
    """What was trained on and translated."""

    kind: Literal["prepared", "synthetic"]
    name: str
    """Of the dataset's folder; for synthetic pairs, how their lengths are drawn."""
    pairs: int
    source_vocabulary: int
    target_vocabulary: int


@dataclass(frozen=True)
class TrainingFigures:
    """Updates as training makes them, after a few that were not counted."""

    updates: int
    pairs: int
    target_tokens: int
    """Target pieces, EOS counted and padding not."""
    seconds: float
    tokens_per_second: float
    """Target tokens."""
    phases: dict[str, float]
    """Seconds of `data` (waiting for a batch), `forward`, `backward` and `optimizer` (clipping, the step).

    The loss makes its own gradients together with its value, so that the softmax is in `forward` both ways.
    """
    shares: dict[str, float]
    """The same as shares of the time."""
    flops: int
    """Of the model, forward and backward, by the formula of `kotrans/model/flops.py`, padding not counted."""
    flops_per_second: float
    share_of_peak: float
    """Of `peak.flops_per_second`."""


@dataclass(frozen=True)
class MemoryFigures:
    """The most memory that the process had at a time, from its start to the end of training."""

    resident: int | None
    """Bytes; null where the system does not tell."""
    cuda: int | None
    """Bytes that tensors had on the card; null without one."""


@dataclass(frozen=True)
class Peak:
    """The fastest product of two square matrices, at the precision and with the threads of training."""

    flops_per_second: float
    size: int
    """Rows of the matrices that were fastest."""


@dataclass(frozen=True)
class ProfilePart:
    """Operations of a kind."""

    kind: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Training in one thread, on that thread's share of each batch: what its time is spent in.

    Counted is what the profiler sees: the library's operations, and our own passes around them; no Python elsewhere.
    """

    parts: tuple[ProfilePart, ...]
    """Of that time, the longest first."""
    share_of_peak: float
    """Of `peak` that training reached."""
    bound: float
    """Share of it that training would reach if all but matrix products and recurrent kernels took no time."""
    peak: Peak
    """Of one thread."""


@dataclass(frozen=True)
class SearchFigures:
    """Translating, tokenizing left out, as `kotrans translate` searches."""

    beam: int
    batch: int
    """Sentences at a time."""
    precision: str
    """That it multiplies in."""
    sentences: int
    output_tokens: int
    """Pieces of the translations, EOS counted."""
    seconds: float
    sentences_per_second: float
    tokens_per_second: float


@dataclass(frozen=True)
class SpeedComparison:
    """The same batches once by the fast path and once by the plain one, one after the other, in changing order."""

    pairs: int
    """Batches (or groups of them, with `training.accumulate`)."""
    ratio: float
    """Median seconds of the plain path for each median second of the fast one."""
    lower: float
    """A quarter of the pairs have a smaller ratio ..."""
    upper: float
    """... and a quarter a larger one."""
    plain_tokens_per_second: float
    fast_tokens_per_second: float


@dataclass(frozen=True)
class Benchmark:
    """Everything that was found."""

    kotrans: str
    """Version."""
    date: str
    config: str
    """Name."""
    machine: Machine
    device: str
    precision: str
    """Of training."""
    parameters: int
    data: Data
    training: TrainingFigures
    memory: MemoryFigures
    peak: Peak
    search: tuple[SearchFigures, ...]
    against_plain: SpeedComparison | None
    profile: Profile | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
