"""The sentences to look at: the worst and the best translations, and those that two systems differ most in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ScoredPair:
    """A sentence with its translations, one of each system, and the chrF of each."""

    line: int
    """Counted from 1."""
    chrf: list[float]
    source: str | None
    hypotheses: list[str]
    reference: str

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def judged(
    lines: Sequence[int],
    chrf: Sequence[Sequence[float]],
    sources: Sequence[str] | None,
    systems: Sequence[Sequence[str]],
    references: Sequence[str],
) -> list[ScoredPair]:
    """The sentences of these indices; `chrf` and `systems` have a list of all sentences for each system."""
    return [
        ScoredPair(
            i + 1, [of_system[i] for of_system in chrf], sources[i] if sources is not None else None,
            [hypotheses[i] for hypotheses in systems], references[i],
        )
        for i in lines
    ]  # fmt: skip


def lowest(values: Sequence[float], most: int) -> list[int]:
    """The indices of the lowest values, the lowest first, of equal ones the first."""
    return sorted(range(len(values)), key=lambda i: (values[i], i))[:most]


def highest(values: Sequence[float], most: int) -> list[int]:
    """The indices of the highest values, the highest first, of equal ones the first."""
    return lowest([-value for value in values], most)
