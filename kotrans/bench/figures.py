"""The results of `kotrans bench`; field names are the keys of its JSON output."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Machine:
    """The machine that was measured."""

    cpu: str
    gpu: str | None  # None if the CPU was measured
    cores: int  # CPU cores available to the process, by affinity and quota
    threads: int  # CPU threads used
    torch: str  # version
    load: float | None  # load average of the minute before; None if the system has none


@dataclass(frozen=True)
class Data:
    """The pairs used for training and translation."""

    kind: Literal["prepared", "synthetic"]
    name: str  # of the dataset's folder, or the distribution of synthetic lengths
    pairs: int
    source_vocabulary: int
    target_vocabulary: int


@dataclass(frozen=True)
class TrainingFigures:
    """Training updates after warm-up."""

    updates: int
    pairs: int
    target_tokens: int  # target pieces, EOS included, without padding
    seconds: float
    tokens_per_second: float
    phases: dict[str, float]
    """Seconds of `data` (waiting for batches), `forward`, `backward` and `optimizer` (clipping and step).

    The loss computes the gradient of the softmax in its forward pass, so that `forward` includes it.
    """
    shares: dict[str, float]  # of the phases
    flops: int  # forward and backward, without padding; see kotrans/model/flops.py
    flops_per_second: float
    share_of_peak: float  # of `peak.flops_per_second`


@dataclass(frozen=True)
class MemoryFigures:
    """Peak memory of the process in bytes, from its start to the end of training."""

    resident: int | None  # None if the system does not report it
    cuda: int | None  # allocated by tensors; None without a GPU


@dataclass(frozen=True)
class Peak:
    """Speed of the fastest product of two square matrices, in training's precision and with its threads."""

    flops_per_second: float


@dataclass(frozen=True)
class Profile:
    """Profile of training in one thread, on that thread's shard of each batch.

    Includes PyTorch operations and our autograd functions, but no other Python code.
    """

    seconds: dict[str, float]  # per kind of operation, longest first
    share_of_peak: float
    bound: float  # share of the peak if everything but matrix products and recurrent kernels took no time
    peak: Peak  # of one thread


@dataclass(frozen=True)
class SearchFigures:
    """Translation speed, without tokenization."""

    engine: str
    precision: str  # of matrix products
    beam: int
    batch: int  # sentences translated together
    sentences: int
    output_tokens: int  # pieces of the translations, EOS included
    seconds: float
    sentences_per_second: float | None
    tokens_per_second: float | None
    """None if the measurement was ended because it took too long."""


@dataclass(frozen=True)
class SpeedComparison:
    """The fast and the plain implementation, alternating on the same batches."""

    pairs: int  # of measurements
    ratio: float  # median seconds of the plain path / median seconds of the fast one
    lower: float  # first quartile of the ratios per pair
    upper: float  # third quartile


@dataclass(frozen=True)
class Benchmark:
    """All results."""

    kotrans: str  # version
    date: str
    config: str  # name
    machine: Machine
    device: str
    precision: str  # of training
    parameters: int
    data: Data
    training: TrainingFigures
    memory: MemoryFigures
    peak: Peak
    search: tuple[SearchFigures, ...]
    against_plain: SpeedComparison | None
    profile: Profile | None

    def as_dict(self) -> dict[str, Any]:
        """Returns the results for JSON."""
        return asdict(self)
