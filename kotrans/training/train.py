"""Training a run from its config: whatever of the stages before is missing, the loop, and the test figures after."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch

from kotrans.config.loading import dump_config, load_config
from kotrans.config.schema import Config
from kotrans.data.batching import Batches, Padding, Sampling
from kotrans.data.corpora import Library
from kotrans.data.dataset import Dataset
from kotrans.data.prepare_corpus import PreparedCorpus
from kotrans.data.stages import PreparedData, Reporter, SilentReporter, prepare
from kotrans.errors import CheckpointError, ConfigError, DataError
from kotrans.model.build import build_model
from kotrans.parallel.device import memory_errors, pick_device, pick_training_precision, set_threads
from kotrans.parallel.distributed import ALONE, World
from kotrans.runs.run import Run, RunRecord, now
from kotrans.storage.files import disk_errors, write_text
from kotrans.storage.scratch import remove_abandoned
from kotrans.training.events import Event, Listener
from kotrans.training.limits import Outcome
from kotrans.training.loop import Trainer
from kotrans.training.metrics_log import MetricsFile, TensorBoard
from kotrans.training.resume import take_over_weights
from kotrans.training.validation import Validation

# A resumed run may change how it goes on, but not what it is.
_FIXED = (
    "seed:", "corpora:", "cleaning.", "tokenizer.", "batches.max_pieces:",
    "embeddings.", "encoder.", "attention.", "decoder.",
)  # fmt: skip


@dataclass(frozen=True)
class StartingPoint:
    """What is about to be trained, for the first lines of the output."""

    run: Run
    corpus: PreparedCorpus
    device: str
    precision: str
    ranks: int
    threads: int  # of each rank on this machine
    parameters: int
    batches: int  # in an epoch, about
    padding: Padding
    resumed_at: int  # update


def train(
    config: Config, run: Run, reporter: Reporter, listener: Listener, *, world: World = ALONE,
    resume: bool = False, library: Library | None = None, begin: Callable[[StartingPoint], None] = lambda _: None,
) -> Outcome:  # fmt: skip
    """Trains the config in a run folder, a new one or, to resume, the one that is there.

    Only rank 0 writes into it, reports, and tells the listener. Raises CheckpointError if another process is training
    in it.
    """
    if world.leads:
        remove_abandoned(run.folder.parent)
    with ExitStack() as resources:
        writers = _writers(config, run, resources) if world.leads else []
        prepared = world.in_turn(lambda: prepare(config, reporter if world.leads else SilentReporter(), library))
        trainer = _trainer(config, run, prepared, _all(*writers, listener) if world.leads else _all(), world)
        _check_same_text(run, prepared, world)
        _open(trainer, prepared, resume=resume)
        progress = trainer.state.progress
        for writer in writers:
            writer.start_after(progress.update, validated=not progress.validation_due)
        if world.leads:
            begin(_beginning(trainer, prepared.corpus))
        return trainer.train()


def _writers(config: Config, run: Run, resources: ExitStack) -> list[MetricsFile | TensorBoard]:
    """Claims the run, and gives what writes into it beside the trainer."""
    resources.enter_context(_claimed(run))
    writers: list[MetricsFile | TensorBoard] = [MetricsFile(run.metrics)]
    if config.training.tensorboard:
        writers.append(resources.enter_context(TensorBoard(run.tensorboard)))
    return writers


def _trainer(config: Config, run: Run, prepared: PreparedData, listener: Listener, world: World) -> Trainer:
    device = pick_device(config.hardware)
    world.take_device(device)
    threads = set_threads(config.hardware, world.local_size)
    precision = pick_training_precision(config.hardware, device)
    with memory_errors(f"the weights on {device}", "make the model smaller"):
        model = build_model(config, prepared.tokenizer.source.size, prepared.tokenizer.target.size).to(device)
    take_over_weights(model, world)
    return Trainer(
        model, training_batches(config, prepared), prepared.tokenizer, config, run, device=device,
        precision=precision, validate=Validation(prepared, config, device, precision, world), listener=listener,
        threads=threads, world=world,
    )  # fmt: skip


def _check_same_text(run: Run, prepared: PreparedData, world: World) -> None:
    """Ranks that trained on other text, without knowing it, would spoil the weights of all."""
    keys = world.collect([prepared.manifest.key])
    if odd := next((rank for rank, key in enumerate(keys) if key != keys[0]), None):
        raise DataError(
            f"{run.folder}: dataset {keys[0]} on rank 0 but {keys[odd]} on rank {odd}; "
            "every machine needs the same text and the same versions"
        )


def training_batches(config: Config, prepared: PreparedData) -> Batches:
    """The stream of training batches of a config."""
    strength = config.tokenizer.sampling
    return Batches(
        Dataset.open(prepared.dataset, "train"), config.batches, config.seed,
        weights=[corpus.weight for corpus in config.corpora],
        sampling=Sampling(prepared.tokenizer, strength) if strength else None,
    )  # fmt: skip


def resumed_config(run: Run, config: Config) -> list[str]:
    """The settings that differ from those the run was started with, as `key: old -> new`.

    Raises ConfigError if one differs that the run's weights or data depend on.
    """
    before = load_config(run.folder / "config.yaml").model_dump(mode="json")
    after = config.model_dump(mode="json")
    changes = _differences(before, after, "")
    if fixed := [change for change in changes if change.startswith(_FIXED)]:
        raise ConfigError(f"{run.folder}: cannot be resumed with other settings ({'; '.join(fixed)}); start a new run")
    return changes


def _differences(before: object, after: object, key: str) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        prefix = f"{key}." if key else ""
        return [line for name in after for line in _differences(before.get(name), after[name], f"{prefix}{name}")]
    return [] if before == after else [f"{key}: {before} -> {after}"]


@contextmanager
def _claimed(run: Run) -> Iterator[None]:
    if not run.claim():
        raise CheckpointError(f"{run.folder}: another process is training this run; wait for it, or stop it first")
    try:
        yield
    finally:
        run.release()


def _open(trainer: Trainer, prepared: PreparedData, *, resume: bool) -> None:
    """Makes the run's folder, or goes back to where the one to resume stands, if it was trained on this dataset."""
    run, config = trainer.run, trainer.config
    if resume and trainer.world.leads:
        _check_dataset(run, prepared)
    if resume:
        trainer.resume()
    if not trainer.world.leads:
        return
    if not resume:
        with run.created(RunRecord(config.name, started=now(), dataset=prepared.manifest.key), dump_config(config)):
            return
    with disk_errors(run.folder / "config.yaml", "the run's checkpoints are whole"):
        write_text(run.folder / "config.yaml", dump_config(config))
    run.write(replace(run.record(), status="training"))


def _check_dataset(run: Run, prepared: PreparedData) -> None:
    record = run.record()
    if record.dataset != prepared.manifest.key:
        raise CheckpointError(
            f"{run.folder}: was trained on dataset {record.dataset}, but the corpus is now {prepared.manifest.key}; "
            "put the text back as it was, or start a new run"
        )


def _all(*listeners: Listener) -> Listener:
    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def _beginning(trainer: Trainer, corpus: PreparedCorpus) -> StartingPoint:
    outline = trainer.batches.outline(trainer.state.progress.epoch)
    return StartingPoint(
        run=trainer.run, corpus=corpus, device=str(trainer.device), precision=trainer.precision,
        ranks=trainer.world.size,
        threads=torch.get_num_threads(),
        parameters=sum(parameter.numel() for parameter in trainer.state.model.parameters()),
        batches=outline.batches, padding=outline.padding,
        resumed_at=trainer.state.progress.update,
    )  # fmt: skip
