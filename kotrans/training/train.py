"""Training a run from its config: preparing the data, creating or resuming the run folder, and the training loop."""

from collections.abc import Callable
from contextlib import ExitStack, closing
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
from kotrans.parallel.device import pick_device, pick_training_precision, set_threads
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.memory import memory_errors
from kotrans.runs.checkpoint import Checkpoint, copy_weights, load_checkpoint, save_weights
from kotrans.runs.run import Run, RunRecord, now
from kotrans.storage.files import disk_errors, write_text
from kotrans.storage.scratch import remove_abandoned
from kotrans.training.events import Event, Listener
from kotrans.training.limits import Outcome
from kotrans.training.loop import Trainer
from kotrans.training.metrics_log import MetricsFile, TensorBoard
from kotrans.training.resume import copy_leader_weights
from kotrans.training.validation import Validation
from kotrans.translation.model_loading import SavedModel

# Settings that a resumed run cannot change.
_FIXED = (
    "seed:", "corpora:", "cleaning.", "tokenizer.", "batches.max_pieces:",
    "embeddings.", "encoder.", "attention.", "decoder.",
)  # fmt: skip


@dataclass(frozen=True)
class StartingPoint:
    """Facts about a training that is about to start, for display."""

    run: Run
    corpus: PreparedCorpus
    device: str
    precision: str
    ranks: int
    threads: int  # per rank
    parameters: int
    batches: int  # per epoch, approximately
    padding: Padding
    resumed_at: int  # update


def train(
    config: Config, run: Run, reporter: Reporter, listener: Listener, *, world: World = ALONE,
    resume: bool = False, library: Library | None = None, begin: Callable[[StartingPoint], None] = lambda _: None,
    base: SavedModel | None = None,
) -> Outcome:  # fmt: skip
    """Trains the config in a new run folder or, with `resume`, continues the run in it.

    Only rank 0 writes to the folder, reports, and calls the listener. begin: called before the first update. base: the
    model whose tokenizer and weights a new run starts from; the config must have its shapes.
    Raises CheckpointError if another process is training this run.
    """
    if world.leads:
        remove_abandoned(run.folder.parent)
    with ExitStack() as resources:
        writers = _writers(config, run, resources) if world.leads else []
        start = _base_checkpoint(run, base) if world.leads else None
        tokenizer = world.from_leader(lambda: start and start.tokenizer)
        prepared = world.in_turn(
            lambda: prepare(config, reporter if world.leads else SilentReporter(), library, tokenizer)
        )

        def notify(event: Event) -> None:
            for each in (*writers, listener) if world.leads else ():
                each(event)

        trainer = _trainer(config, run, prepared, notify, world, start)
        _check_same_text(run, prepared, world)
        if resume:
            _resume(trainer, prepared)
        elif world.leads:
            record = RunRecord(
                config.name, started=now(), dataset=prepared.manifest.key, base=base.name if base else None
            )
            with run.created(record, dump_config(config)) as scratch:
                if start is not None:
                    save_weights(scratch.base, dict(start.model.named_parameters()), start)
        progress = trainer.state.progress
        for writer in writers:
            writer.start_after(progress.update, validated=not progress.validation_due)
        if world.leads:
            begin(_starting_point(trainer, prepared.corpus))
        return trainer.train()


def _writers(config: Config, run: Run, resources: ExitStack) -> list[MetricsFile | TensorBoard]:
    """Claims the run and returns the listeners that write to its folder."""
    if not run.claim():
        raise CheckpointError(f"{run.folder}: another process is training this run; wait for it, or stop it first")
    resources.callback(run.release)
    writers: list[MetricsFile | TensorBoard] = [MetricsFile(run.metrics)]
    if config.training.tensorboard:
        writers.append(resources.enter_context(closing(TensorBoard(run.tensorboard))))
    return writers


def _base_checkpoint(run: Run, base: SavedModel | None) -> Checkpoint | None:
    """Returns the model that training starts from: `base`, or the copy of it in a resumed run; None without one."""
    if base is not None:
        return base.load(torch.device("cpu"))
    return load_checkpoint(run.base, torch.device("cpu")) if run.base.is_dir() else None


def _trainer(
    config: Config, run: Run, prepared: PreparedData, listener: Listener, world: World, base: Checkpoint | None
) -> Trainer:
    device = pick_device(config.hardware)
    world.take_device(device)
    threads = set_threads(config.hardware, world.local_size)
    precision = pick_training_precision(config.hardware, device)
    with memory_errors(f"the weights on {device}", "make the model smaller"):
        model = build_model(config, prepared.tokenizer.source.size, prepared.tokenizer.target.size).to(device)
        if base is not None:
            copy_weights(dict(base.model.named_parameters()), model, run.base)
    copy_leader_weights(model, world)
    return Trainer(
        model, training_batches(config, prepared), prepared.tokenizer, config, run, device=device,
        precision=precision, validate=Validation(prepared, config, device, precision, world), listener=listener,
        threads=threads, world=world, shortlist=prepared.shortlist,
    )  # fmt: skip


def training_batches(config: Config, prepared: PreparedData) -> Batches:
    """Returns the stream of training batches of a config."""
    strength = config.tokenizer.sampling
    return Batches(
        Dataset.open(prepared.dataset, "train"), config.batches, config.seed,
        weights=[corpus.weight for corpus in config.corpora],
        sampling=Sampling(prepared.tokenizer, strength) if strength else None,
    )  # fmt: skip


def _check_same_text(run: Run, prepared: PreparedData, world: World) -> None:
    """Raises DataError if ranks have different datasets, which would silently mix them into one model."""
    keys = world.collect([prepared.manifest.key])
    if odd := next((rank for rank, key in enumerate(keys) if key != keys[0]), None):
        raise DataError(
            f"{run.folder}: dataset {keys[0]} on rank 0 but {keys[odd]} on rank {odd}; "
            "every machine needs the same text and the same versions"
        )


def _resume(trainer: Trainer, prepared: PreparedData) -> None:
    """Loads the last intact checkpoint and stores the new config. Raises CheckpointError if the dataset differs."""
    run = trainer.run
    if not trainer.world.leads:
        trainer.resume()
        return
    dataset = run.record().dataset
    if dataset != prepared.manifest.key:
        raise CheckpointError(
            f"{run.folder}: was trained on dataset {dataset}, but the dataset is now {prepared.manifest.key}; "
            "restore the original text, or start a new run"
        )
    trainer.resume()
    with disk_errors(run.folder / "config.yaml", "the run's checkpoints are intact"):
        write_text(run.folder / "config.yaml", dump_config(trainer.config))
    run.write(replace(run.record(), status="training"))


def _starting_point(trainer: Trainer, corpus: PreparedCorpus) -> StartingPoint:
    outline = trainer.batches.outline(trainer.state.progress.position.epoch)
    return StartingPoint(
        run=trainer.run, corpus=corpus, device=str(trainer.device), precision=trainer.precision,
        ranks=trainer.world.size, threads=torch.get_num_threads(),
        parameters=sum(parameter.numel() for parameter in trainer.state.model.parameters()),
        batches=outline.batches, padding=outline.padding,
        resumed_at=trainer.state.progress.update,
    )  # fmt: skip


def resumed_config(run: Run, config: Config) -> list[str]:
    """Returns the settings that differ from those the run was last started with, as `key: old -> new`.

    Raises ConfigError if one of them cannot change because the run's weights or data depend on it.
    """
    before = load_config(run.folder / "config.yaml").model_dump(mode="json")
    changes = _differences(before, config.model_dump(mode="json"), "")
    if fixed := [change for change in changes if change.startswith(_FIXED)]:
        raise ConfigError(f"{run.folder}: cannot be resumed with other settings ({'; '.join(fixed)}); start a new run")
    return changes


def _differences(before: object, after: object, key: str) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        prefix = f"{key}." if key else ""
        return [line for name in after for line in _differences(before.get(name), after[name], f"{prefix}{name}")]
    return [] if before == after else [f"{key}: {before} -> {after}"]
