"""`kotrans train` and `kotrans average`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kotrans.cli.made_text import find_data_config
from kotrans.cli.options import (
    ConfigPath,
    Mirror,
    Settings,
    find_config,
    find_library,
    run_names,
    run_option,
)
from kotrans.errors import KotransError, UsageError

if TYPE_CHECKING:
    from kotrans.config.schema import Config
    from kotrans.parallel.distributed import World
    from kotrans.runs.run import Run
    from kotrans.training.limits import Outcome
    from kotrans.training.train import StartingPoint


Name = Annotated[
    str | None, typer.Option("--run", metavar="NAME", help="Name of the run (default: name of the config).")
]
Base = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN|PATH",
        help="Start from the weights and the tokenizer of this run, checkpoint or exported model.",
        autocompletion=run_names,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Resume the run, or the most recently interrupted one, from its last checkpoint."),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        help="Train with N processes that divide the cores of this machine (default: 1); pays from 8 cores.",
    ),
]


def train(
    config: ConfigPath = None,
    settings: Settings = None,
    name: Name = None,
    base: Base = None,
    resume: Resume = False,
    processes: Processes = 1,
    mirror: Mirror = None,
) -> None:
    """Train a model (stage 5), after any missing stages 1 to 4.

    Finally, the best checkpoint is scored on the test splits. Processes started by torchrun train together.
    """
    if base and resume:
        raise UsageError("--from starts a new run; --resume continues one, from the model that it started from")
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        _start_ranks(processes)
        return
    # Also imports what scores the run at the end, so that an upgrade of kotrans during training cannot break it.
    from kotrans.cli.display import StageDisplay, TrainingDisplay
    from kotrans.cli.run_scores import show_scores
    from kotrans.training.train import train
    from kotrans.translation.model_loading import find_model

    stages, started = StageDisplay(), list["StartingPoint"]()

    def begin(point: "StartingPoint") -> None:
        started.append(point)
        _print_start(point)

    with _joined_ranks() as world, TrainingDisplay() as display:
        run, resolved = _from_leader(world, lambda: _run_and_config(config, settings, name, base, resume=resume))
        model = find_model(base) if base and world.leads else None
        outcome = train(
            resolved, run, stages, display, world=world, resume=resume, library=find_library(mirror), begin=begin,
            base=model,
        )  # fmt: skip
        if world.leads:
            _print_end(run, outcome)
    if outcome.signal is not None:
        raise SystemExit(128 + outcome.signal)
    if world.leads:
        show_scores(run, started[0].corpus)


def average(
    run: Annotated[str | None, run_option("RUN", "Run to use (default: most recently finished).")] = None,
    last: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Average only the last N checkpoints (default: all that are kept)."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the new run (default: RUN-average).")
    ] = None,
) -> None:
    """Average the weights of a run's checkpoints into a new run."""
    from kotrans.runs.averaging import average_checkpoints
    from kotrans.runs.runs_folder import find_run, new_run

    source = find_run(run)
    target = new_run(name, f"{source.name}-average")
    names = average_checkpoints(source, target, last)
    typer.echo(f"{target.folder}: average of {', '.join(names)} of {source.name}")


def _start_ranks(count: int) -> None:
    """Runs this command in `count` processes, as torchrun does; exits with the code of the first that fails."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    try:
        main(["--standalone", "--nproc-per-node", str(count), "-m", "--", "kotrans", *sys.argv[1:]])
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        raise SystemExit(failure.exitcode) from None
    except SignalException as stopped:
        raise SystemExit(128 + stopped.sigval) from None


@contextmanager
def _joined_ranks() -> "Iterator[World]":
    """Connects the processes of this training. With several processes, error messages begin with the rank."""
    from kotrans.parallel.distributed import join

    world = join()
    try:
        yield world
        world.leave()
    except KotransError as error:
        if world.size == 1:
            raise
        raise type(error)(f"rank {world.rank}: {error}") from None


def _from_leader(world: "World", find: "Callable[[], tuple[Run, Config]]") -> "tuple[Run, Config]":
    """Returns run and config as found by rank 0; other machines need not have the config file."""
    from kotrans.runs.run import Run
    from kotrans.storage.paths import runs_folder

    claimed: list[Run] = []

    def name_and_config() -> "tuple[str, Config]":
        run, config = find()
        claimed.append(run)
        return run.name, config

    name, config = world.from_leader(name_and_config)
    return claimed[0] if claimed else Run(runs_folder() / name), config


def _run_and_config(
    config: Path | None, settings: list[str] | None, name: str | None, base: str | None, *, resume: bool
) -> "tuple[Run, Config]":
    from kotrans.runs.runs_folder import new_run
    from kotrans.training.base_model import with_shapes_of
    from kotrans.translation.model_loading import find_model

    if resume:
        return _resumed(config, settings, name)
    resolved = find_data_config(config, settings)
    if base is not None:
        model = find_model(base)
        resolved = with_shapes_of(resolved, model.config, model.name)
    return new_run(name, resolved.name), resolved


def _resumed(config: Path | None, settings: list[str] | None, name: str | None) -> "tuple[Run, Config]":
    """Returns the run to resume and its config, and prints settings that the command changes."""
    from kotrans.config.loading import load_config
    from kotrans.runs.runs_folder import find_run
    from kotrans.training.base_model import with_shapes_of
    from kotrans.training.train import resumed_config

    wanted = find_config(config, settings).name if config and not name else None
    run = find_run(name, unfinished=True, config=wanted)
    stored = run.folder / "config.yaml"
    resolved = find_config(config, settings) if config else load_config(stored, settings or [])
    if config and run.base.is_dir():
        resolved = with_shapes_of(resolved, load_config(stored), run.name)
    for change in resumed_config(run, resolved):
        typer.echo(f"changed: {change}", err=True)
    return run, resolved


def _print_start(beginning: "StartingPoint") -> None:
    resumed = f", resumed at update {beginning.resumed_at:,}" if beginning.resumed_at else ""
    ranks = f" in each of {beginning.ranks} processes" if beginning.ranks > 1 else ""
    typer.echo(
        f"run       {beginning.run.folder}{resumed}\n"
        f"          {beginning.parameters:,} parameters on {beginning.device} in {beginning.precision}, "
        f"{beginning.threads} threads{ranks}; {beginning.batches:,} batches per epoch, "
        f"{beginning.padding.both:.1%} padding",
        err=True,
    )


def _print_end(run: "Run", outcome: "Outcome") -> None:
    progress = outcome.progress
    if outcome.signal is not None:
        typer.echo(
            f"stopped and saved at update {progress.update:,}; resume with: kotrans train --run {run.name} --resume",
            err=True,
        )
        return
    best = (
        f", best dev BLEU {progress.best_bleu:.2f} at update {progress.best_update:,}"
        if progress.best_bleu is not None
        else ""
    )
    typer.echo(
        f"finished  {progress.update:,} updates in {progress.minutes:.1f} minutes ({outcome.reason} reached){best}",
        err=True,
    )
