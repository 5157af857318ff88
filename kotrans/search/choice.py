"""Choosing pieces by probability, so that equal ones are told apart by their ids alone."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.errors import ModelError
from kotrans.tokenizer import BOS, PAD, UNK

# Shape key: N rows, V vocabulary, k choices, R pieces of a group, C groups.
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_SPECIAL = (PAD, BOS, UNK)
_NARROW = 512  # rows shorter than this are not worth grouping


def most_probable(logits: Tensor, k: int) -> tuple[Floats, Ints]:
    """The k most probable pieces that a translation may hold, best first: log-probabilities and ids, (N, k) each.

    Writes into logits (N, V).
    """
    k = min(k, logits.size(1))
    special = logits[:, _SPECIAL]  # (N, 3)
    forbid_special(logits)
    best, pieces = largest(logits, k)  # (N, k)
    peak = torch.maximum(best[:, :1], special.amax(1, keepdim=True))  # (N, 1)
    others = logits.sub_(peak).exp_().sum(1, keepdim=True)  # (N, 1) in place: nobody needs the logits any more
    total = (others + (special - peak).exp_().sum(1, keepdim=True)).log_().cpu().double()  # (N, 1)
    return ((best - peak).cpu().double() - total).numpy(), pieces.cpu().numpy()


def forbid_special(logits: Tensor) -> None:
    """Takes away, in place, the pieces that a translation never holds; the others of logits (N, V) stay."""
    for piece in _SPECIAL:
        logits[:, piece] = -torch.inf


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of values (N, V) in falling order and their indices, of equal ones the first.

    `topk` alone may take any of equal values, and which one can depend on how many rows it is given.
    """
    chosen, indices = _topk(values, min(k + 1, values.size(1)))  # (N, k + 1): the next one tells of a tie
    tied = ((chosen[:, :-1] == chosen[:, 1:]) & (chosen[:, 1:] > -torch.inf)).any(1).nonzero().flatten()
    chosen, indices = chosen[:, :k], indices[:, :k]
    if tied.numel():
        indices[tied] = values[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return chosen, indices


def _topk(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`topk` for long rows: looks only into the k groups of the largest maxima, where the k largest must be."""
    width = values.size(1)
    depth = math.isqrt(width // k)  # R, which makes as many groups as there are pieces in those looked into
    groups = width // max(1, depth)  # C; piece i is in group i % C, and the last few are in none
    if width < _NARROW or groups < k:
        return values.topk(k, dim=1)
    maxima = values[:, : depth * groups].unflatten(1, (depth, groups)).amax(1)  # (N, C)
    best = maxima.topk(k, dim=1).indices.unsqueeze(1)  # (N, 1, k)
    members = torch.arange(0, depth * groups, groups, device=values.device).view(-1, 1)  # (R, 1)
    rest = torch.arange(depth * groups, width, device=values.device).expand(len(values), -1)  # (N, V - R*C)
    pieces = torch.cat([(best + members).flatten(1), rest], dim=1)  # (N, k*R + V - R*C)
    chosen, places = values.gather(1, pieces).topk(k, dim=1)  # (N, k)
    return chosen, pieces.gather(1, places)


def check_possible(best: Floats) -> None:
    """Raises ModelError if a sentence's best log-probability is not a number or stands for 0."""
    if not np.isfinite(best).all():
        raise ModelError(
            "the model gives no probability to any piece: its weights are damaged or its training diverged; "
            "take an earlier checkpoint"
        )
