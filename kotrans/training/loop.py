"""The loop: update, validate every so often, save, stop."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from kotrans.config.schema import Config
from kotrans.data.batching import Batch, Batches, Position
from kotrans.data.prefetch import Prefetched
from kotrans.data.tokenizer import Tokenizer
from kotrans.errors import CheckpointError, TrainingError
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.device import memory_errors
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.interrupts import STOP_SIGNALS, StopRequest, StopTraining, stop_request
from kotrans.parallel.shards import ShardPool
from kotrans.runs.checkpoint import TrainingState, restore_training, save_checkpoint
from kotrans.runs.progress import Progress
from kotrans.runs.run import Run, Status, checkpoint_name
from kotrans.runs.schedule import learning_rate, plan_cooldown
from kotrans.training.divergence import DivergenceCheck, Fallback, check_finite
from kotrans.training.events import DevFigures, Event, Listener, Saved, Updated, Validated
from kotrans.training.limits import (
    Outcome,
    after_validation,
    is_outdated,
    reached_limit,
    share_done,
    with_best,
    without_best,
)
from kotrans.training.resume import continued, last_whole_checkpoint, weights_of_best
from kotrans.training.update import UpdateResult, build_optimizer, run_update, start_average, update_average, weights_of

logger = logging.getLogger(__name__)


class Trainer:
    """Trains a model in a run folder. Its whole state is in `state`, which a checkpoint holds."""

    def __init__(
        self, model: Seq2Seq, batches: Batches, tokenizer: Tokenizer, config: Config, run: Run,
        *, device: torch.device, precision: str, validate: Callable[[Seq2Seq], DevFigures], listener: Listener,
        threads: int = 1, world: World = ALONE,
    ) -> None:  # fmt: skip
        """Only rank 0 writes into the run's folder and has a listener that is told."""
        threads = threads if device.type == "cpu" else 1
        self.state = TrainingState(
            model, start_average(model, config.training), build_optimizer(model, config.training),
            Progress(ranks=world.size, threads=threads, batch_tokens=config.batches.tokens),
        )  # fmt: skip
        self.batches = batches
        self.tokenizer = tokenizer
        self.config = config
        self.run = run
        self.device = device
        self.precision = precision
        self.shares = ShardPool.of_batches(threads, config.batches.tokens)
        self.validate = validate
        self.listener = listener
        self.world = world
        self._divergence = DivergenceCheck(tokenizer.target.size)
        self._fallback = Fallback(run, self._divergence, has_disk=world.leads)
        self._stop = StopRequest()
        self._stopped_by: int | None = None
        self._started = time.monotonic()

    def resume(self) -> None:
        """Goes back to the run's last checkpoint that is whole, or to the start.

        Raises CheckpointError if there are checkpoints and none is whole, or one cannot be read now.
        """
        self._fallback.last = self.world.from_leader(lambda: last_whole_checkpoint(self.run))
        if self._fallback.last is None:
            return
        state = restore_training(self.run.checkpoints / self._fallback.last, self.state, self.world)
        here = self.state.progress
        self.state = state._replace(progress=continued(state.progress, here, self.config, self.run, self.world))

    def train(self) -> Outcome:
        """Trains until a limit, the patience or a signal ends it.

        The last validation and checkpoint are of the last update. Raises TrainingError naming the update and the last
        good checkpoint, CheckpointError if one cannot be written.
        """
        self._started = time.monotonic() - 60 * self.state.progress.minutes
        self._fallback.run_started = self.world.from_leader(lambda: self.run.record().started)
        ahead = Prefetched(self.batches.start_at(self.state.progress.position), self.device)
        # torchrun signals the ranks that are left when one has ended, while they are about to say why they end, too.
        with stop_request(past_errors=self.world.size > 1) as self._stop, closing(ahead) as stream:
            if is_outdated(self.state.progress, self.config):
                self._measure_best_again()
            outcome = self._conclude() if self.state.progress.validation_due else self._finished()
            for position, batches in self._updates(stream) if outcome is None else ():
                self._update(position, batches)
                outcome = self._conclude()
                if outcome is not None:
                    break
        assert outcome is not None  # the batches never end by themselves
        if self.world.leads:
            status: Status = "interrupted" if outcome.reason == "signal" else "finished"
            self.run.write(replace(self.run.record(), status=status))
        return outcome._replace(progress=self.state.progress)  # with what the last validation found

    def _updates(self, stream: Iterator[tuple[Position, Batch]]) -> Iterator[tuple[Position, list[Batch]]]:
        """For each update its batches, and the position after them."""
        while group := list(islice(stream, self.config.training.accumulate)):
            yield group[-1][0], [batch for _, batch in group]

    def _update(self, position: Position, batches: list[Batch]) -> None:
        model, average, optimizer, progress = self.state
        update, training = progress.update + 1, self.config.training
        began = time.perf_counter()
        rate = learning_rate(update, training, progress.rate_factor, self._share_done())
        model.train()
        with self._fallback.named(f"update {update}"), self._divergence.watching(update):
            result = run_update(
                model, optimizer, batches, training, learning_rate=rate, precision=self.precision, shares=self.shares,
                seed=(self.config.seed, update), world=self.world, votes=self._votes,
            )  # fmt: skip
            self._divergence.after_update(update, result.nll)
        if average is not None:
            update_average(average, model, training.ema, update)
        self._change(
            update=update, epoch=position.epoch, batch=position.batch,
            target_tokens=progress.target_tokens + result.target_tokens,
        )  # fmt: skip
        self._count(result.votes)
        self._tell(self._updated(result, rate, time.perf_counter() - began))

    def _updated(self, result: UpdateResult, rate: float, seconds: float) -> Updated:
        progress = self.state.progress
        return Updated(
            progress.update, progress.epoch + progress.is_within_epoch, result.loss, math.exp(min(result.nll, 700)),
            result.target_tokens, seconds, rate, result.gradient_norm, self._share_done(),
        )  # fmt: skip

    def _change(self, **values: Any) -> None:
        """Replaces fields of the progress."""
        self.state = self.state._replace(progress=replace(self.state.progress, **values))

    def _votes(self) -> list[float]:
        """What this rank adds to what all go by: rank 0 the time in minutes, each the signals that it was sent."""
        minutes = (time.monotonic() - self._started) / 60
        return [minutes * self.world.leads, *(self._stop.signal == number for number in STOP_SIGNALS)]

    def _count(self, votes: list[float]) -> None:
        """Takes over the sums of all ranks' votes."""
        minutes, *signals = votes
        self._change(minutes=minutes)
        self._stopped_by = next((number for number, count in zip(STOP_SIGNALS, signals, strict=True) if count), None)

    def _share_done(self) -> float:
        progress = self.state.progress
        return share_done(progress, self.config.training, lambda: self.batches.share_done(progress.position))

    @property
    def _signal(self) -> int | None:
        """The signal that requests a stop. Several processes must have agreed on it first."""
        return self._stop.signal if self.world.size == 1 else self._stopped_by

    def _finished(self) -> Outcome | None:
        progress = self.state.progress
        reason = reached_limit(progress, self.config) or ("signal" if self._signal is not None else None)
        return None if reason is None else Outcome(reason, progress, self._signal)

    def _is_validation_due(self) -> bool:
        progress = self.state.progress
        every = self.config.validation.every
        return (
            progress.validation_due or progress.update % every == 0 or reached_limit(progress, self.config) is not None
        )

    def _conclude(self) -> Outcome | None:
        """After an update: validates and saves if that is due; the outcome if training ends with it.

        A stop does not wait for a validation. The checkpoint says that one is due, and the resumed run makes it.
        """
        planned, every = self._plan_cooldown(), self.config.checkpoints.every
        if self._is_validation_due():
            self._change(validation_due=True)
            if self._signal is None and self._validate():
                self._save()
                return self._finished()  # it may have used up the patience, the time, or somebody's wish to wait
        if self._signal is not None:
            self._save()
            return Outcome("signal", self.state.progress, self._signal)
        if planned or (every is not None and self.state.progress.update % every == 0):
            self._save()
            # If time ran out while it saved, the next update ends with a validation.
            return Outcome("signal", self.state.progress, self._signal) if self._signal is not None else None
        return None

    def _plan_cooldown(self) -> bool:
        """Plans the cooldown if it begins now; true if so. A checkpoint keeps the plan from then on."""
        progress = self.state.progress
        plan = None if progress.cooldown else plan_cooldown(progress.update, self._share_done(), self.config.training)
        if plan is not None:
            self._change(cooldown=plan)
        return plan is not None

    def _validate(self) -> bool:
        """Measures the dev split and takes the figures into the progress; false if a stop came in between."""
        began, update = time.perf_counter(), self.state.progress.update
        figures = self._measured(self.state.average, update, f"validation after update {update}")
        if figures is None:
            return False
        self.state = self.state._replace(progress=after_validation(self.state.progress, figures, self.config))
        progress, seconds = self.state.progress, time.perf_counter() - began
        self._tell(Validated(update, figures, progress.best_update == update, progress.stale_validations, seconds))
        return True

    def _measured(self, weights: dict[str, Tensor] | None, update: int, where: str) -> DevFigures | None:
        """The dev figures of these weights, or of the model's own; None if a stop came in between."""
        model = self.state.model
        model.eval()
        try:
            with (
                self._fallback.named(where),
                memory_errors("translating the dev split", "lower search.batch"),
                weights_of(weights, model),
                torch.no_grad(),
            ):
                self._stop.raises = self.world.size == 1  # of several, the others would wait for this one
                try:
                    figures = self.validate(model)
                finally:
                    self._stop.raises = False  # before the model gets its own weights back
                self._divergence.after_validation(update, figures.perplexity)
                return figures
        except StopTraining:
            return None

    def _measure_best_again(self) -> None:
        """Figures of other settings cannot be compared: measures the best checkpoint with those of now."""
        progress = self.state.progress
        stored = self.world.tensors_from_leader(lambda: weights_of_best(self.run))
        weights = {name: tensor.to(self.device) for name, tensor in stored.items()}
        figures = self._measured(weights, progress.best_update or 0, "measuring the best again") if weights else None
        if figures is None and self._signal is not None:
            return
        known = with_best(progress, figures, self.config) if figures else without_best(progress)
        self.state = self.state._replace(progress=known)
        if self.world.leads:
            told = (
                f"has BLEU {figures.bleu:.2f} with the new ones" if figures else "cannot be measured with the new ones"
            )
            logger.warning(
                "%s: settings of validation have changed; the best checkpoint so far, of update %s, %s",
                self.run.folder, progress.best_update, told,
            )  # fmt: skip

    def _tell(self, event: Event) -> None:
        """Tells the listener. If that cannot write, what has been trained is saved before training ends."""
        try:
            self.listener(event)
        except CheckpointError as error:
            with self._fallback.named("listener"):
                self.run.check_there()
            self._change(validation_due=isinstance(event, Updated) and self._is_validation_due())
            try:
                kept = f"saved as {self.run.checkpoints / self._write_checkpoint(self._checkpoint_name())}"
            except (CheckpointError, TrainingError):
                kept = str(self._fallback)
            raise CheckpointError(f"{error}; {kept}") from None

    def _checkpoint_name(self) -> str:
        progress = self.state.progress
        return checkpoint_name(progress.update, validation_due=progress.validation_due)

    def _save(self) -> None:
        name = self._checkpoint_name()
        if name == self._fallback.last:
            return  # the run was resumed, and stopped before anything changed
        update = self.state.progress.update
        with self._fallback.named(f"update {update}"), self._divergence.watching(update + 1):
            self._count(self.world.total(self._votes()))
            check_finite(self.state)
            # No rank goes on before it is written: one that outlives rank 0 would name a checkpoint that never was.
            self._fallback.last = self.world.from_leader(lambda: self._write_checkpoint(name))

    def _write_checkpoint(self, name: str) -> str:
        self.run.check_there()
        check_finite(self.state)
        save_checkpoint(self.run.checkpoints / name, self.state, self.config, self.tokenizer)
        progress = self.state.progress
        record = replace(
            self.run.record(), updates=progress.update, best_bleu=progress.best_bleu,
            best_perplexity=progress.best_perplexity,
        )  # fmt: skip
        best = progress.best_update == progress.update and not progress.validation_due
        self.run.add_checkpoint(name, record, best=best, keep=self.config.checkpoints.keep)
        self.listener(Saved(progress.update, self.run.checkpoints / name))
        return name
