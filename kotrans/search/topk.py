"""Choosing pieces by probability, so that equal ones are told apart by their ids alone."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.data.tokenizer import BOS, EOS, PAD, UNK
from kotrans.errors import ModelError

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
    best, pieces = largest(logits, k)  # (N, k)
    peak = best[:, :1]  # (N, 1)
    # The special pieces are the lowest ids but for EOS. A trained model hardly ever puts one among the best.
    if ((pieces <= max(_SPECIAL)) & (pieces != EOS)).any():
        allowed = logits.clone()
        forbid_special(allowed)
        best, pieces = largest(allowed, k)
    # In place: nobody needs the logits any more.
    total = logits.sub_(torch.from_numpy(peak).to(logits)).exp_().sum(1, keepdim=True)  # (N, 1)
    with np.errstate(invalid="ignore"):  # of a damaged model, which `check_possible` finds out
        return best - peak - np.log(_on_cpu(total)), pieces


def forbid_special(logits: Tensor) -> None:
    """Takes away, in place, the pieces that a translation never holds; the others of logits (N, V) stay."""
    for piece in _SPECIAL:
        logits[:, piece] = -torch.inf


def largest(values: Tensor, k: int) -> tuple[Floats, Ints]:
    """The k largest of each row of values (N, V) in falling order and their indices, of equal ones the first.

    `topk` alone may take any of equal values, and which one can depend on how many rows it is given.
    """
    found, places = _topk(values, min(k + 1, values.size(1)))  # (N, k + 1): the next one tells of a tie
    chosen, indices = _on_cpu(found), places.cpu().numpy()
    tied = ((chosen[:, :-1] == chosen[:, 1:]) & (chosen[:, 1:] > -np.inf)).any(1).nonzero()[0]
    chosen, indices = chosen[:, :k], indices[:, :k]
    if len(tied):
        order = values[torch.from_numpy(tied).to(values.device)].sort(dim=1, descending=True, stable=True).indices
        indices[tied] = order[:, :k].cpu().numpy()
    return chosen, indices


def _on_cpu(values: Tensor) -> Floats:
    """Values, of which numpy may not know the precision, in float64."""
    on_cpu: Floats = values.cpu().double().numpy()
    return on_cpu


def _topk(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`topk` for long rows: looks only into the k groups of the largest maxima, where the k largest must be."""
    width = values.size(1)
    depth = math.isqrt(width // k)  # R, which makes as many groups as there are pieces in those looked into
    groups = width // max(1, depth)  # C; piece i is in group i % C, and the last few are in none
    if width < _NARROW or groups < k:
        return values.topk(k, dim=1)
    maxima = values[:, : depth * groups].unflatten(1, (depth, groups)).amax(1)  # (N, C)
    best = maxima.topk(k, dim=1).indices.unsqueeze(1)  # (N, 1, k)
    members, rest = _members(depth, groups, width, values.device)  # (R, 1), (V - R*C,)
    pieces = torch.cat([(best + members).flatten(1), rest.expand(len(values), -1)], dim=1)  # (N, k*R + V - R*C)
    chosen, places = values.gather(1, pieces).topk(k, dim=1)  # (N, k)
    return chosen, pieces.gather(1, places)


@lru_cache(maxsize=64)
def _members(depth: int, groups: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What is added to a group's number for each of its pieces (R, 1), and the pieces in no group (V - R*C,)."""
    return (
        torch.arange(0, depth * groups, groups, device=device).view(-1, 1),
        torch.arange(depth * groups, width, device=device),
    )


def check_possible(best: Floats) -> None:
    """Raises ModelError if a sentence's best log-probability is not a number or stands for 0."""
    if not np.isfinite(best).all():
        raise ModelError(
            "the model gives no probability to any piece: its weights are damaged or its training diverged; "
            "take an earlier checkpoint"
        )
