"""The loop: update, validate every so often, save, stop."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Literal, NamedTuple

import torch

from kotrans.batching import Batch, Batches, Position
from kotrans.checkpoint import TrainingState, restore_training, save_checkpoint
from kotrans.config.config import Config
from kotrans.distributed import ALONE, World
from kotrans.errors import CheckpointError, TrainingError
from kotrans.memory import memory_errors
from kotrans.model.seq2seq import Seq2Seq
from kotrans.prefetch import Prefetched
from kotrans.progress import Progress
from kotrans.runs import Run, Status
from kotrans.schedule import learning_rate
from kotrans.shares import Shares
from kotrans.tokenizer import Tokenizer
from kotrans.trainer.events import DevFigures, Listener, Saved, Updated, Validated
from kotrans.trainer.optimization import build_optimizer, start_average, update_average, weights_of
from kotrans.trainer.signals import STOP_SIGNALS, StopRequest, stop_request
from kotrans.trainer.starting import last_whole_checkpoint
from kotrans.trainer.update import UpdateResult, run_update

logger = logging.getLogger(__name__)

Reason = Literal["max_updates", "max_epochs", "max_minutes", "patience", "signal"]


class Outcome(NamedTuple):
    """Why training ended, and where it stands."""

    reason: Reason
    progress: Progress
    signal: int | None = None


class Trainer:
    """Trains a model in a run folder. Its whole state is in `state`, which a checkpoint holds."""

    def __init__(
        self, model: Seq2Seq, batches: Batches, tokenizer: Tokenizer, config: Config, run: Run,
        *, device: torch.device, precision: str, validate: Callable[[Seq2Seq], DevFigures], listener: Listener,
        threads: int = 1, world: World = ALONE,
    ) -> None:  # fmt: skip
        """Only rank 0 writes into the run's folder and has a listener that is told."""
        self.state = TrainingState(
            model, start_average(model, config.training), build_optimizer(model, config.training),
            Progress(ranks=world.size, batch_tokens=config.batches.tokens),
        )  # fmt: skip
        self.batches = batches
        self.tokenizer = tokenizer
        self.config = config
        self.run = run
        self.device = device
        self.precision = precision
        self.shares = Shares.of_batches(threads if device.type == "cpu" else 1, config.batches.tokens)
        self.validate = validate
        self.listener = listener
        self.world = world
        self._stop = StopRequest()
        self._stopped_by: int | None = None
        self._last: str | None = None
        self._run_started = ""  # tells the run from another machine's of the same name
        self._started = time.monotonic()

    def resume(self) -> None:
        """Goes back to the run's last checkpoint that is whole, or to the start.

        Raises CheckpointError if there are checkpoints and none is whole.
        """
        self._last = self.world.from_leader(lambda: last_whole_checkpoint(self.run))
        if self._last is None:
            return
        state = restore_training(self.run.checkpoints / self._last, self.state, self.world)
        ranks, here, tokens = state.progress.ranks, self.world.size, self.config.batches.tokens
        # Of larger batches fewer are the same share of a block.
        batch = state.progress.batch * (state.progress.batch_tokens or tokens) // tokens
        progress = replace(state.progress, ranks=here, batch=batch, batch_tokens=tokens)
        self.state = state._replace(progress=progress)
        if ranks != here and self.world.leads:
            logger.warning("%s: goes on with %d processes after %d; dropout draws anew", self.run.folder, here, ranks)

    def train(self) -> Outcome:
        """Trains until a limit, the patience or a signal ends it.

        The last validation and checkpoint are of the last update. Raises TrainingError naming the update and the last
        good checkpoint, CheckpointError if one cannot be written.
        """
        self._started = time.monotonic() - 60 * self.state.progress.minutes
        self._run_started = self.world.from_leader(lambda: self.run.record().started)
        progress = self.state.progress
        ahead = Prefetched(self.batches.start_at(progress.position), self.device)
        # torchrun signals the ranks that are left when one has ended, while they are about to say why they end, too.
        with stop_request(past_errors=self.world.size > 1) as self._stop, closing(ahead) as stream:
            outcome = self._finished()
            for position, batches in self._updates(stream) if outcome is None else ():
                self._update(position, batches)
                outcome = self._finished()
                done = self._validate_or_save(outcome)
                if done is not None and outcome is None:
                    # The validation may have used up the patience, the time, or somebody's wish to wait.
                    outcome = self._finished()
                    if done == "saved" and outcome is not None and outcome.reason != "signal":
                        outcome = None  # time ran out while it saved: the next update ends with a validation
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
        with self._last_good_checkpoint(f"update {update}"):
            result = run_update(
                model, optimizer, batches, training, learning_rate=rate, precision=self.precision, shares=self.shares,
                seed=(self.config.seed, update), world=self.world, votes=self._votes,
            )  # fmt: skip
        if average is not None:
            update_average(average, model, training.ema, update)
        progress = replace(
            progress, update=update, epoch=position.epoch, block=position.block, batch=position.batch,
            target_tokens=progress.target_tokens + result.target_tokens,
        )  # fmt: skip
        self.state = self.state._replace(progress=progress)
        self._count(result.votes)
        self.listener(self._updated(result, rate, time.perf_counter() - began))

    def _updated(self, result: UpdateResult, rate: float, seconds: float) -> Updated:
        progress = self.state.progress
        return Updated(
            progress.update, progress.epoch + progress.is_within_epoch, result.loss, math.exp(min(result.nll, 700)),
            result.target_tokens, seconds, rate, result.gradient_norm, self._share_done(),
        )  # fmt: skip

    def _votes(self) -> list[float]:
        """What this rank adds to what all go by: rank 0 the time in minutes, each the signals that it was sent."""
        minutes = (time.monotonic() - self._started) / 60
        return [minutes * self.world.leads, *(self._stop.signal == number for number in STOP_SIGNALS)]

    def _count(self, votes: list[float]) -> None:
        """Takes over the sums of all ranks' votes."""
        minutes, *signals = votes
        self.state = self.state._replace(progress=replace(self.state.progress, minutes=minutes))
        self._stopped_by = next((number for number, count in zip(STOP_SIGNALS, signals, strict=True) if count), None)

    def _share_done(self) -> float:
        progress, training = self.state.progress, self.config.training
        shares = [progress.update / training.max_updates]
        if training.max_epochs:
            shares.append((progress.epoch + self.batches.share_done(progress.position)) / training.max_epochs)
        if training.max_minutes:
            shares.append(progress.minutes / training.max_minutes)
        return min(max(shares), 1.0)

    def _finished(self) -> Outcome | None:
        # One process hears a signal at once; several must have told each other.
        stop = self._stop.signal if self.world.size == 1 else self._stopped_by
        progress, training, patience = self.state.progress, self.config.training, self.config.validation.patience
        limits: dict[Reason, bool] = {
            "max_updates": progress.update >= training.max_updates,
            "max_epochs": training.max_epochs is not None and progress.epoch >= training.max_epochs,
            "max_minutes": training.max_minutes is not None and progress.minutes >= training.max_minutes,
            "patience": patience is not None and progress.stale_validations >= patience,
            "signal": stop is not None,
        }
        reason = next((name for name, reached in limits.items() if reached), None)
        return None if reason is None else Outcome(reason, progress, stop)

    def _validate_or_save(self, outcome: Outcome | None) -> Literal["validated", "saved"] | None:
        """What is due at this update; either ends with a checkpoint."""
        update, every = self.state.progress.update, self.config.checkpoints.every
        stopped = outcome is not None and outcome.reason == "signal"
        # A validation that is due is not left out for a signal: the resumed run would go without it.
        if update % self.config.validation.every == 0 or (outcome is not None and not stopped):
            self._save(best=self._validate())
            return "validated"
        if stopped or (every is not None and update % every == 0):
            self._save(best=False)
            return "saved"
        return None

    def _validate(self) -> bool:
        """Measures the dev split and takes the figures into the progress; true for a new best."""
        began = time.perf_counter()
        model, average, _, progress = self.state
        model.eval()
        with (
            self._last_good_checkpoint(f"validation after update {progress.update}"),
            memory_errors("translating the dev split", "lower search.batch"),
            weights_of(average, model),
            torch.no_grad(),
        ):
            figures = self.validate(model)
        best = self._is_best(figures)
        progress = replace(progress, stale_validations=0 if best else progress.stale_validations + 1)
        if best:
            progress = replace(
                progress, best_update=progress.update, best_bleu=figures.bleu, best_perplexity=figures.perplexity
            )  # fmt: skip
        self.state = self.state._replace(progress=self._plateau(progress, best=best))
        self.listener(
            Validated(progress.update, figures, best, progress.stale_validations, time.perf_counter() - began)
        )
        return best

    def _is_best(self, figures: DevFigures) -> bool:
        """Better than the best so far, by the metric that the config names now: a resume may have changed it."""
        progress = self.state.progress
        if progress.best_bleu is None or progress.best_perplexity is None:
            return True
        if self.config.validation.metric == "bleu":
            return figures.bleu > progress.best_bleu
        return figures.perplexity < progress.best_perplexity

    @contextmanager
    def _last_good_checkpoint(self, where: str) -> Iterator[None]:
        """Inside the block, a TrainingError comes to say where it happened and what can be gone back to."""
        try:
            yield
        except TrainingError as error:
            last = self._last_recorded()
            good = f"the last good checkpoint is {self.run.checkpoints / last}" if last else "there is no checkpoint"
            raise type(error)(f"{self.run.folder}: {where}: {error}; {good}") from None

    def _last_recorded(self) -> str | None:
        """The last checkpoint of the run. Rank 0 may have ended between its record of one and word of it to others."""
        with suppress(CheckpointError):  # of a rank without the disk of rank 0
            record = self.run.record()
            if record.started == self._run_started and record.last:
                return max(record.last, self._last or "")  # this disk may hold an older copy of the run
        return self._last

    def _plateau(self, progress: Progress, *, best: bool) -> Progress:
        """Lowers the learning rate after enough validations without a new best, if the schedule is `plateau`."""
        training = self.config.training
        stale = 0 if best else progress.stale_at_rate + 1
        if training.schedule == "plateau" and stale > training.plateau_patience:
            return replace(progress, stale_at_rate=0, rate_factor=progress.rate_factor * training.plateau_factor)
        return replace(progress, stale_at_rate=stale)

    def _save(self, *, best: bool) -> None:
        update = self.state.progress.update
        name = f"update-{update:08d}"
        with self._last_good_checkpoint(f"update {update}"):
            self._count(self.world.total(self._votes()))
            # No rank goes on before it is written: one that outlives rank 0 would name a checkpoint that never was.
            self._last = self.world.from_leader(lambda: self._write_checkpoint(name, best=best))

    def _write_checkpoint(self, name: str, *, best: bool) -> str:
        save_checkpoint(self.run.checkpoints / name, self.state, self.config, self.tokenizer)
        progress = self.state.progress
        record = replace(
            self.run.record(), updates=progress.update, best_bleu=progress.best_bleu,
            best_perplexity=progress.best_perplexity,
        )  # fmt: skip
        self.run.add_checkpoint(name, record, best=best, keep=self.config.checkpoints.keep)
        self.listener(Saved(progress.update, self.run.checkpoints / name))
        return name
