"""Resuming from the last intact checkpoint, and copying rank 0's weights to the other ranks."""

import logging
from dataclasses import replace

from torch import Tensor, nn

from kotrans.config.schema import Config
from kotrans.errors import DamagedError
from kotrans.parallel.distributed import World
from kotrans.runs.checkpoint import read_weights, verify
from kotrans.runs.progress import Progress
from kotrans.runs.run import Run
from kotrans.runs.schedule import limits_key
from kotrans.training.update import set_weights

logger = logging.getLogger(__name__)


def last_intact_checkpoint(run: Run) -> str | None:
    """Returns its name, or None if there is no checkpoint; newer, damaged ones are logged and renamed.

    Raises DamagedError if there are checkpoints but none is intact. Raises CheckpointError if one cannot be read, which
    may be temporary, so nothing is changed then.
    """
    record = run.record()
    damages: list[DamagedError] = []
    for name in reversed(record.kept):
        try:
            verify(run.checkpoints / name)
        except DamagedError as error:
            damages.append(error)
            continue
        if damages:
            logger.warning("%s; resuming from %s", damages[0], name)
            run.roll_back_to(name)
        run.remove_leftovers(run.record())
        return name
    if damages:
        raise damages[0]
    run.remove_leftovers(record)
    return None


def resumed_progress(saved: Progress, current: Progress, config: Config, run: Run, world: World) -> Progress:
    """Returns a checkpoint's progress adapted to this start; differences that change the result are logged."""
    if world.leads and saved.ranks != current.ranks:
        message = "%s: resumed with %d processes instead of %d; dropout masks will differ"
        logger.warning(message, run.folder, current.ranks, saved.ranks)
    elif world.leads and saved.threads not in (None, current.threads):
        message = (
            "%s: resumed with %d threads instead of %d; dropout masks and rounding will differ "
            "(--set hardware.threads=%d avoids this)"
        )
        logger.warning(message, run.folder, current.threads, saved.threads, saved.threads)
    tokens = config.batches.tokens
    # The same share of the epoch in batches of the new size.
    batch = saved.position.batch * (saved.batch_tokens or tokens) // tokens
    keep_plan = saved.cooldown is not None and saved.cooldown.limits == limits_key(config.training)
    return replace(
        saved, ranks=current.ranks, threads=current.threads, position=replace(saved.position, batch=batch),
        batch_tokens=tokens, cooldown=saved.cooldown if keep_plan else None,
    )  # fmt: skip


def weights_of_best(run: Run) -> dict[str, Tensor]:
    """Returns the weights of the run's best checkpoint; empty if there is none or it is damaged."""
    best = run.record().best
    try:
        return read_weights(run.checkpoints / best) if best else {}
    except DamagedError as error:
        logger.warning("%s", error)
        return {}


def copy_leader_weights(model: nn.Module, world: World) -> None:
    """Copies rank 0's initial weights to every rank; other processors may have drawn or rounded them differently."""
    if world.size > 1:
        own = dict(model.named_parameters())
        weights = world.tensors_from_leader(lambda: {name: each.detach().cpu() for name, each in own.items()})
        set_weights(weights, model)
