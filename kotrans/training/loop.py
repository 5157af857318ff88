"""The training loop: update, validate, save, stop."""

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
from kotrans.data.batching import Batch, Batches
from kotrans.data.dataset import Position
from kotrans.data.prefetch import Prefetched
from kotrans.data.shortlist import Shortlist
from kotrans.data.tokenizer import Tokenizer
from kotrans.errors import CheckpointError, TrainingError
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.interrupts import STOP_SIGNALS, StopRequest, StopTraining, stop_request
from kotrans.parallel.memory import memory_errors
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
    is_best_outdated,
    reached_limit,
    share_done,
    with_best,
    without_best,
)
from kotrans.training.resume import last_intact_checkpoint, resumed_progress, weights_of_best
from kotrans.training.update import UpdateResult, build_optimizer, run_update, start_ema, temporary_weights, update_ema

logger = logging.getLogger(__name__)


class Trainer:
    """Trains a model in a run folder. Everything that changes is in `state`, which checkpoints store."""

    def __init__(
        self, model: Seq2Seq, batches: Batches, tokenizer: Tokenizer, config: Config, run: Run,
        *, device: torch.device, precision: str, validate: Callable[[Seq2Seq], DevFigures], listener: Listener,
        threads: int = 1, world: World = ALONE, shortlist: Shortlist | None = None,
    ) -> None:  # fmt: skip
        """Only rank 0 writes to the run folder; the listeners of other ranks should ignore events."""
        threads = threads if device.type == "cpu" else 1
        self.state = TrainingState(
            model, start_ema(model, config.training), build_optimizer(model, config.training),
            Progress(ranks=world.size, threads=threads, batch_tokens=config.batches.tokens),
        )  # fmt: skip
        self.batches = batches
        self.tokenizer = tokenizer
        self.config = config
        self.run = run
        self.device = device
        self.precision = precision
        self.pool = ShardPool.of_batches(threads, config.batches.tokens)
        self.validate = validate
        self.listener = listener
        self.world = world
        self.shortlist = shortlist
        self._divergence = DivergenceCheck(tokenizer.target.size)
        self._fallback = Fallback(run, self._divergence, has_disk=world.leads)
        self._stop = StopRequest()
        self._stopped_by: int | None = None

    def resume(self) -> None:
        """Loads the run's last intact checkpoint; without checkpoints, training starts from the beginning.

        Raises CheckpointError if there are checkpoints and none is intact, or one cannot be read.
        """
        self._fallback.last = self.world.from_leader(lambda: last_intact_checkpoint(self.run))
        if self._fallback.last is None:
            return
        state = restore_training(self.run.checkpoints / self._fallback.last, self.state, self.world)
        current = self.state.progress
        progress = resumed_progress(state.progress, current, self.config, self.run, self.world)
        self.state = state._replace(progress=progress)

    def train(self) -> Outcome:
        """Trains until a limit, the patience or a signal ends training.

        Validates and saves after the last update. Raises TrainingError naming the update and the last good checkpoint,
        CheckpointError if a checkpoint cannot be written.
        """
        self._started = time.monotonic() - 60 * self.state.progress.minutes
        self._fallback.run_started = self.world.from_leader(lambda: self.run.record().started)
        prefetched = Prefetched(self.batches.start_at(self.state.progress.position), self.device)
        # When one rank ends, torchrun signals the others, which may still have to report their own error.
        with stop_request(past_errors=self.world.size > 1) as self._stop, closing(prefetched) as stream:
            if is_best_outdated(self.state.progress, self.config):
                self._remeasure_best()
            outcome = self._after_update() if self.state.progress.validation_due else self._outcome()
            for position, batches in self._groups(stream) if outcome is None else ():
                self._update(position, batches)
                outcome = self._after_update()
                if outcome is not None:
                    break
        assert outcome is not None  # the stream of batches is endless
        if self.world.leads:
            status: Status = "interrupted" if outcome.reason == "signal" else "finished"
            self.run.write(replace(self.run.record(), status=status))
        return outcome._replace(progress=self.state.progress)  # includes the last validation

    def _groups(self, stream: Iterator[tuple[Position, Batch]]) -> Iterator[tuple[Position, list[Batch]]]:
        """Yields the batches of each update, with the position after them."""
        while group := list(islice(stream, self.config.training.accumulate)):
            yield group[-1][0], [batch for _, batch in group]

    def _update(self, position: Position, batches: list[Batch]) -> None:
        model, ema, optimizer, progress = self.state
        update, training = progress.update + 1, self.config.training
        began = time.perf_counter()
        rate = learning_rate(update, training, progress.rate_factor, self._share_done())
        model.train()
        with self._fallback.errors_at(f"update {update}"), self._divergence.recording(update):
            result = run_update(
                model, optimizer, batches, training, learning_rate=rate, precision=self.precision, pool=self.pool,
                seed=(self.config.seed, update), world=self.world, votes=self._votes,
            )  # fmt: skip
            self._divergence.after_update(update, result.nll)
        if ema is not None:
            update_ema(ema, model, training.ema, update)
        self._set_progress(
            update=update, position=position, target_tokens=progress.target_tokens + result.target_tokens
        )
        self._apply_votes(result.votes)
        self._notify(self._updated(result, rate, time.perf_counter() - began))

    def _updated(self, result: UpdateResult, rate: float, seconds: float) -> Updated:
        progress = self.state.progress
        return Updated(
            progress.update, progress.epochs_started, result.loss, math.exp(min(result.nll, 700)),
            result.target_tokens, seconds, rate, result.gradient_norm, self._share_done(),
        )  # fmt: skip

    def _set_progress(self, **values: Any) -> None:
        """Replaces fields of the progress."""
        self.state = self.state._replace(progress=replace(self.state.progress, **values))

    def _votes(self) -> list[float]:
        """Returns this rank's part of values that are summed over the ranks: minutes (rank 0's) and signals received.

        All ranks act on the sums, so that they stop at the same update.
        """
        minutes = (time.monotonic() - self._started) / 60
        return [minutes * self.world.leads, *(self._stop.signal == number for number in STOP_SIGNALS)]

    def _apply_votes(self, votes: list[float]) -> None:
        minutes, *signals = votes
        self._set_progress(minutes=minutes)
        self._stopped_by = next((number for number, count in zip(STOP_SIGNALS, signals, strict=True) if count), None)

    def _share_done(self) -> float:
        progress = self.state.progress
        return share_done(progress, self.config.training, lambda: self.batches.share_done(progress.position))

    @property
    def _signal(self) -> int | None:
        """The signal that requests a stop; several ranks must have voted on it first."""
        return self._stop.signal if self.world.size == 1 else self._stopped_by

    def _outcome(self) -> Outcome | None:
        progress = self.state.progress
        reason = reached_limit(progress, self.config) or ("signal" if self._signal is not None else None)
        return None if reason is None else Outcome(reason, progress, self._signal)

    def _is_validation_due(self) -> bool:
        progress = self.state.progress
        every = self.config.validation.every
        return (
            progress.validation_due or progress.update % every == 0 or reached_limit(progress, self.config) is not None
        )

    def _after_update(self) -> Outcome | None:
        """Validates and saves if due; returns the outcome if training ends.

        A requested stop does not wait for a validation: the checkpoint records that it is due, and the resumed run
        starts with it.
        """
        planned, every = self._plan_cooldown(), self.config.checkpoints.every
        if self._is_validation_due():
            self._set_progress(validation_due=True)
            if self._signal is None and self._validate():
                self._save()
                return self._outcome()  # patience or time may have run out, or a signal arrived during validation
        if self._signal is not None:
            self._save()
            return Outcome("signal", self.state.progress, self._signal)
        if planned or (every is not None and self.state.progress.update % every == 0):
            self._save()
            # If time ran out while saving, training ends after one more update, with a validation.
            return Outcome("signal", self.state.progress, self._signal) if self._signal is not None else None
        return None

    def _plan_cooldown(self) -> bool:
        """Plans the cooldown if it begins now and returns whether it does; a checkpoint must then store the plan."""
        progress = self.state.progress
        plan = None if progress.cooldown else plan_cooldown(progress.update, self._share_done(), self.config.training)
        if plan is not None:
            self._set_progress(cooldown=plan)
        return plan is not None

    def _validate(self) -> bool:
        """Measures the dev split and updates the progress; False if a stop interrupted it."""
        began, update = time.perf_counter(), self.state.progress.update
        figures = self._measure(self.state.ema, update, f"validation after update {update}")
        if figures is None:
            return False
        self.state = self.state._replace(progress=after_validation(self.state.progress, figures, self.config))
        progress, seconds = self.state.progress, time.perf_counter() - began
        self._notify(Validated(update, figures, progress.best_update == update, progress.stale_validations, seconds))
        return True

    def _measure(self, weights: dict[str, Tensor] | None, update: int, where: str) -> DevFigures | None:
        """Returns the dev figures of these weights (None: the model's own); None if a stop interrupted it."""
        model = self.state.model
        model.eval()
        try:
            with (
                self._fallback.errors_at(where),
                memory_errors("translating the dev split", "lower search.batch"),
                temporary_weights(weights, model),
                torch.no_grad(),
            ):
                self._stop.raises = self.world.size == 1  # with several ranks, the others would wait for this one
                try:
                    figures = self.validate(model)
                finally:
                    self._stop.raises = False  # restoring the model's weights must not be interrupted
                self._divergence.after_validation(update, figures.perplexity)
                return figures
        except StopTraining:
            return None

    def _remeasure_best(self) -> None:
        """Measures the best checkpoint with the current settings of validation, which changed since it was measured."""
        progress = self.state.progress
        stored = self.world.tensors_from_leader(lambda: weights_of_best(self.run))
        weights = {name: tensor.to(self.device) for name, tensor in stored.items()}
        figures = (
            self._measure(weights, progress.best_update or 0, "measuring the best checkpoint") if weights else None
        )
        if figures is None and self._signal is not None:
            return
        known = with_best(progress, figures, self.config) if figures else without_best(progress)
        self.state = self.state._replace(progress=known)
        if self.world.leads:
            result = f"has BLEU {figures.bleu:.2f}" if figures else "cannot be measured"
            logger.warning(
                "%s: settings of validation have changed; with them, the best checkpoint so far (update %s) %s",
                self.run.folder, progress.best_update, result,
            )  # fmt: skip

    def _notify(self, event: Event) -> None:
        """Passes the event to the listener; if that cannot write, saves a checkpoint before raising its error."""
        try:
            self.listener(event)
        except CheckpointError as error:
            with self._fallback.errors_at("listener"):
                self.run.check_exists()
            self._set_progress(validation_due=isinstance(event, Updated) and self._is_validation_due())
            try:
                check_finite(self.state)
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
            return  # stopped right after resuming
        update = self.state.progress.update
        with self._fallback.errors_at(f"update {update}"), self._divergence.recording(update + 1):
            self._apply_votes(self.world.total(self._votes()))
            check_finite(self.state)
            # All ranks wait until it is written; otherwise one that outlives rank 0 could name a missing checkpoint.
            self._fallback.last = self.world.from_leader(lambda: self._write_checkpoint(name))

    def _write_checkpoint(self, name: str) -> str:
        self.run.check_exists()
        save_checkpoint(self.run.checkpoints / name, self.state, self.config, self.tokenizer, self.shortlist)
        progress = self.state.progress
        record = replace(
            self.run.record(), updates=progress.update, best_bleu=progress.best_bleu,
            best_perplexity=progress.best_perplexity,
        )  # fmt: skip
        best = progress.best_update == progress.update and not progress.validation_due
        self.run.add_checkpoint(name, record, best=best, keep=self.config.checkpoints.keep)
        self.listener(Saved(progress.update, self.run.checkpoints / name))
        return name
