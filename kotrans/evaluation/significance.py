"""Significance of differences between two systems: sacrebleu's paired bootstrap (Koehn 2004, Post 2018)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kotrans.evaluation.metrics import check_lines


@dataclass(frozen=True)
class Interval:
    """A score and its 95 % interval over the resamples, `mean` ± `half_width`."""

    score: float
    mean: float
    half_width: float


@dataclass(frozen=True)
class PairedTest:
    """One metric of two systems and the significance of their difference."""

    metric: str
    """BLEU, chrF or TER."""
    systems: tuple[Interval, Interval]
    p_value: float
    """Probability of a difference at least as large if the systems were equally good.

    1 if the systems are equal on every resample, or if there is only one sentence (sacrebleu returns its minimum then).
    """
    signature: str

    @property
    def difference(self) -> float:
        """Score of the second system minus that of the first."""
        return self.systems[1].score - self.systems[0].score

    def as_dict(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return asdict(self) | {"difference": self.difference}


def paired_bootstrap(
    first: Sequence[str], second: Sequence[str], references: Sequence[str], samples: int = 1000
) -> list[PairedTest]:
    """Compares BLEU, chrF and TER on the same resamples of the test set, as `sacrebleu --paired-bs` does.

    The seed is SACREBLEU_SEED (default: 12345). Needs about 120 kB per sentence. Raises DataError if the numbers of
    lines differ or are 0.
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
