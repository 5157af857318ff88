"""Where training starts: from the last checkpoint that is whole, and from the same weights on every rank."""

import logging
from dataclasses import replace

import torch
from torch import Tensor, nn

from kotrans.config.schema import Config
from kotrans.errors import DamagedError
from kotrans.parallel.distributed import World
from kotrans.runs.checkpoint import read_weights, verify
from kotrans.runs.progress import Progress
from kotrans.runs.run import Run
from kotrans.runs.schedule import limits_key

logger = logging.getLogger(__name__)


def last_whole_checkpoint(run: Run) -> str | None:
    """Its name; None if there is no checkpoint. Damaged ones after it are said, and set aside under another name.

    Raises DamagedError if there are checkpoints but none is whole, CheckpointError if one cannot be read now: that may
    pass, and nothing is changed.
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
            logger.warning("%s; going on from %s", damages[0], name)
            run.go_back_to(name)
        run.remove_leftovers(run.record())
        return name
    if damages:
        raise damages[0]
    run.remove_leftovers(record)
    return None


def continued(saved: Progress, here: Progress, config: Config, run: Run, world: World) -> Progress:
    """Returns a checkpoint's progress for resuming; differences that change the result are logged."""
    if world.leads and saved.ranks != here.ranks:
        told = "%s: goes on with %d processes after %d; dropout draws anew"
        logger.warning(told, run.folder, here.ranks, saved.ranks)
    elif world.leads and saved.threads not in (None, here.threads):
        told = (
            "%s: goes on with %d threads after %d; dropout draws anew and sums are rounded in another order "
            "(--set hardware.threads=%d keeps them)"
        )
        logger.warning(told, run.folder, here.threads, saved.threads, saved.threads)
    tokens = config.batches.tokens
    # Of larger batches fewer are the same share of an epoch.
    batch = saved.batch * (saved.batch_tokens or tokens) // tokens
    kept = saved.cooldown is not None and saved.cooldown.limits == limits_key(config.training)
    return replace(
        saved, ranks=here.ranks, threads=here.threads, batch=batch, batch_tokens=tokens,
        cooldown=saved.cooldown if kept else None,
    )  # fmt: skip


def weights_of_best(run: Run) -> dict[str, Tensor]:
    """The weights of the run's best checkpoint; none if it is damaged or there is none."""
    best = run.record().best
    try:
        return read_weights(run.checkpoints / best) if best else {}
    except DamagedError as error:
        logger.warning("%s", error)
        return {}


def take_over_weights(model: nn.Module, world: World) -> None:
    """Rank 0's weights on every rank: another kind of processor may have drawn and rounded others."""
    if world.size == 1:
        return
    weights = world.tensors_from_leader(lambda: {name: own.detach().cpu() for name, own in model.named_parameters()})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
