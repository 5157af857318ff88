"""Where training starts: from the last checkpoint that is whole, and from the same weights on every rank."""

import logging

import torch
from torch import nn

from kotrans.checkpoint import verify
from kotrans.distributed import World
from kotrans.errors import CheckpointError
from kotrans.runs import Run

logger = logging.getLogger(__name__)


def last_whole_checkpoint(run: Run) -> str | None:
    """Its name; None if there is no checkpoint. Damaged ones after it are said and taken out of the run.

    Raises CheckpointError if there are checkpoints, but none is whole.
    """
    record = run.record()
    run.remove_leftovers(record)
    damages = []
    for name in reversed(record.kept):
        try:
            verify(run.checkpoints / name)
        except CheckpointError as error:
            damages.append(error)
            continue
        if damages:
            logger.warning("%s; going on from %s", damages[0], name)
            run.go_back_to(name)
        return name
    if damages:
        raise damages[0]
    return None


def take_over_weights(model: nn.Module, world: World) -> None:
    """Rank 0's weights on every rank: another kind of processor may have drawn and rounded others."""
    if world.size == 1:
        return
    weights = world.tensors_from_leader(lambda: {name: own.detach().cpu() for name, own in model.named_parameters()})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
