"""Progress on standard error: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

import typer
from tqdm import tqdm

from kotrans.data.stages import Stage
from kotrans.training.events import Event, Updated, Validated

_LINE_INTERVAL = 10.0  # seconds between plain lines of training
_BAR_INTERVAL = 0.2  # seconds between refreshes of the bar
_SMOOTHING = 0.05  # weight of the newest update in the running averages
# The least important parts are last, where a narrow terminal cuts them off.
_NARROW = "{percentage:3.0f}% {remaining} left, {desc}"
_WIDE = "{percentage:3.0f}%|{bar:20}| {remaining} left, {desc}"
_WIDE_COLUMNS = 125


class StageDisplay:
    """Prints each stage when it is done, with a progress bar for slow ones."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._task = ""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Updates the bar of a task; total is None if unknown."""
        if self._bar is None or task != self._task:
            self.close()
            self._bar, self._task = (
                tqdm(desc=task, total=total, unit="", unit_scale=True, disable=None, leave=False),
                task,
            )
        self._bar.update(done - self._bar.n)
        if total is not None and done >= total:
            self.close()

    def stage(self, stage: Stage) -> None:
        """Prints a stage that is done or was up to date."""
        self.close()
        state = "" if stage.made else " (up to date)"
        typer.echo(f"{stage.name:<9} {stage.folder}{state}\n          {stage.summary}", err=True)

    def close(self) -> None:
        """Removes the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


class TrainingDisplay:
    """Shows events of training."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None
        self._loss = self._perplexity = self._speed = 0.0
        self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Updated):
            self._update(event)
        elif isinstance(event, Validated):
            self._validation(event)

    def _update(self, event: Updated) -> None:
        weight = 1.0 if self._loss == 0 else _SMOOTHING
        self._loss += weight * (event.loss - self._loss)
        self._perplexity += weight * (event.perplexity - self._perplexity)
        self._speed += weight * (event.target_tokens / event.seconds - self._speed)
        if self._live:
            self._draw(event)
        elif time.monotonic() - self._drawn > _LINE_INTERVAL:
            self._drawn = time.monotonic()
            typer.echo(
                f"{event.share_done:4.0%} epoch {event.epoch} update {event.update:,}: loss {self._loss:.3f}, "
                f"perplexity {self._perplexity:.1f}, {self._speed:,.0f} target tokens/s, "
                f"learning rate {event.learning_rate:.2g}",
                err=True,
            )

    def _draw(self, event: Updated) -> None:
        if self._bar is None:  # not earlier, so that it appears below the lines of the stages
            self._bar = tqdm(total=1.0, initial=event.share_done, dynamic_ncols=True, leave=False, bar_format=_NARROW)
        elif time.monotonic() - self._drawn < _BAR_INTERVAL and event.share_done < 1:
            return
        self._drawn = time.monotonic()
        self._bar.n = event.share_done
        self._bar.bar_format = _WIDE if (self._bar.format_dict["ncols"] or 0) >= _WIDE_COLUMNS else _NARROW
        self._bar.set_description_str(
            f"loss {self._loss:.2f}, perplexity {self._perplexity:.1f}, {self._speed:,.0f} tokens/s, "
            f"lr {event.learning_rate:.2g}, update {event.update:,}, epoch {event.epoch}"
        )

    def _validation(self, event: Validated) -> None:
        figures = event.figures
        plural = "" if event.stale == 1 else "s"
        progress = "best so far" if event.is_best else f"{event.stale} validation{plural} without improvement"
        self._write(
            f"update {event.update:,}: dev BLEU {figures.bleu:.2f}, perplexity {figures.perplexity:.2f} "
            f"({progress}; {event.seconds:.0f} s)"
        )
        for sample in figures.samples:
            self._write(f"    {sample.source}\n    → {sample.hypothesis}\n    = {sample.reference}")

    def _write(self, text: str) -> None:
        if self._live:
            tqdm.write(text, file=sys.stderr)
        else:
            typer.echo(text, err=True)
