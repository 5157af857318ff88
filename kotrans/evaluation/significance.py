"""Whether one system is better than another, by sacrebleu's paired bootstrap (Koehn 2004, Post 2018)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kotrans.evaluation.metrics import check_lines


@dataclass(frozen=True)
class Interval:
    """A score, and where 95 % of the resamples have it: `mean` plus and minus `half_width`."""

    score: float
    mean: float
    half_width: float


@dataclass(frozen=True)
class PairedTest:
    """One metric of two systems."""

    metric: str
    """BLEU, chrF or TER."""
    systems: tuple[Interval, Interval]
    p_value: float
    """How likely a difference as great is by chance, if the systems were equally good.

    1 if no resample tells them apart, or if there is one sentence alone, for which sacrebleu gives its least value.
    """
    signature: str

    @property
    def difference(self) -> float:
        """The second's score less the first's."""
        return self.systems[1].score - self.systems[0].score

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"difference": self.difference}


def paired_bootstrap(
    first: Sequence[str], second: Sequence[str], references: Sequence[str], samples: int = 1000
) -> list[PairedTest]:
    """BLEU, chrF and TER of both on the same resamples of the test set: what `sacrebleu --paired-bs` gives.

    The random numbers are fixed as sacrebleu fixes them, by SACREBLEU_SEED or else 12345. Takes some 120 kB for each
    sentence. Raises DataError if the numbers of lines differ or are 0.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER
    from sacrebleu.significance import PairedTest

    check_lines(first, references, ("the first system", "the references"))
    check_lines(second, references, ("the second system", "the references"))
    metrics = {"BLEU": BLEU(), "chrF": CHRF(), "TER": TER()}
    systems = [("first", first), ("second", second)]
    signatures, results = PairedTest(systems, metrics, [references], test_type="bs", n_samples=samples)()
    return [
        _compared(name, str(signatures[metric]), results[metric], len(references))
        for name, metric in (("BLEU", "BLEU"), ("chrF", "chrF2"), ("TER", "TER"))
    ]


def _compared(metric: str, signature: str, results: Sequence[Any], sentences: int) -> PairedTest:
    systems = _interval(results[0]), _interval(results[1])
    by_chance = sentences == 1 or systems[0] == systems[1]
    return PairedTest(metric, systems, 1.0 if by_chance else float(results[1].p_value), signature)


def _interval(result: Any) -> Interval:
    return Interval(float(result.score), float(result.mean), float(result.ci))
