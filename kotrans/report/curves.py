"""Learning curves of runs: dev BLEU and perplexity over time or updates."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kotrans.errors import CheckpointError, DataError, UsageError
from kotrans.report.style import check_picture, drawing, save
from kotrans.runs.run import Run
from kotrans.storage.files import stream_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCHES = (9.0, 3.6)
By = Literal["minutes", "updates"]


@dataclass(frozen=True)
class Point:
    """One validation."""

    updates: int
    minutes: float
    """Time spent in updates, without validations and checkpoints."""
    bleu: float
    perplexity: float


@dataclass(frozen=True)
class Curve:
    """The validations of a run, in order."""

    name: str
    points: tuple[Point, ...]


def read_curve(run: Run) -> Curve:
    """Reads the validations from the run's metrics.

    Raises CheckpointError if they cannot be read, UsageError if there is no validation yet.
    """
    points, minutes = [], 0.0
    try:
        for line in stream_lines(run.metrics):
            values = json.loads(line)
            if values["kind"] == "update":
                minutes += values["seconds"] / 60
            else:
                points.append(Point(values["update"], minutes, values["bleu"], values["perplexity"]))
    except (DataError, ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{run.metrics}: missing or damaged; the run's checkpoints are not affected") from None
    if not points:
        raise UsageError(f"run {run.name}: has no validation yet; wait for the first one, or lower validation.every")
    return Curve(run.name, tuple(points))


def draw_curves(path: Path, curves: Sequence[Curve], by: By = "minutes") -> None:
    """Plots dev BLEU and dev perplexity of runs side by side as a PNG or SVG file.

    Raises UsageError for another file type, KotransError if the Korean font is missing.
    """
    check_picture(path)
    with drawing():
        save(_figure(curves, by), path)


def _figure(curves: Sequence[Curve], by: By) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from kotrans.report.style import drawable

    figure = Figure(figsize=_INCHES, layout="constrained")
    bleu, perplexity = figure.subplots(1, 2)
    for curve, name in zip(curves, drawable(curve.name for curve in curves), strict=True):
        over = [getattr(point, by) for point in curve.points]
        bleu.plot(over, [point.bleu for point in curve.points], marker=".", label=name)
        perplexity.plot(over, [point.perplexity for point in curve.points], marker=".")
    bleu.set_ylabel("dev BLEU")
    bleu.set_ylim(bottom=0)
    bleu.legend(frameon=False)
    perplexity.set_ylabel("dev perplexity")
    perplexity.set_yscale("log")
    perplexity.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    perplexity.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    perplexity.yaxis.set_minor_formatter(NullFormatter())
    for axes in (bleu, perplexity):
        axes.set_xlabel("minutes of training" if by == "minutes" else "updates")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
