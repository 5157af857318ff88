"""The most probable pieces, with ties broken by id."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.data.tokenizer import BOS, EOS, PAD, UNK

# Shape key: N rows, V target pieces, k choices, R pieces of a group, C groups.
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_SPECIAL = (PAD, BOS, UNK)
_NARROW = 512  # columns; in shorter rows topk is faster than groups


def most_probable(logits: Tensor, k: int) -> tuple[Floats, Ints]:
    """Returns log-probabilities and ids, (N, k) each, of the most probable pieces, best first; never PAD, BOS or UNK.

    Modifies logits (N, V) in place.
    """
    k = min(k, logits.size(1))
    best, pieces = largest(logits, k)  # (N, k)
    peak = best[:, :1]  # (N, 1)
    # The special pieces have the lowest ids, with EOS among them, and are rarely among the best.
    if ((pieces <= max(_SPECIAL)) & (pieces != EOS)).any():
        allowed = logits.clone()
        forbid_special(allowed)
        best, pieces = largest(allowed, k)
    total = logits.sub_(torch.from_numpy(peak).to(logits)).exp_().sum(1, keepdim=True)  # (N, 1)
    with np.errstate(invalid="ignore"):  # NaN of a damaged model is detected by `check_possible`
        return best - peak - np.log(_float64(total)), pieces


def forbid_special(logits: Tensor) -> None:
    """Sets the logits (N, V) of PAD, BOS and UNK to -inf, in place."""
    for piece in _SPECIAL:
        logits[:, piece] = -torch.inf


def largest(values: Tensor, k: int) -> tuple[Floats, Ints]:
    """Returns the k largest values of each row of values (N, V), in descending order, and their indices.

    Of equal values the one with the smaller index comes first; that of `topk` can depend on the number of rows.
    """
    found, indices_found = _topk(values, min(k + 1, values.size(1)))  # (N, k + 1); the last one shows a tie
    chosen, indices = _float64(found), indices_found.cpu().numpy()
    tied = ((chosen[:, :-1] == chosen[:, 1:]) & (chosen[:, 1:] > -np.inf)).any(1).nonzero()[0]
    chosen, indices = chosen[:, :k], indices[:, :k]
    if len(tied):
        order = values[torch.from_numpy(tied).to(values.device)].sort(dim=1, descending=True, stable=True).indices
        indices[tied] = order[:, :k].cpu().numpy()
    return chosen, indices


def _float64(values: Tensor) -> Floats:
    """Returns the values as a NumPy array; NumPy has no bfloat16."""
    array: Floats = values.cpu().double().numpy()
    return array


def _topk(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns `topk` of values (N, V); long rows are searched only in the k groups with the largest maxima."""
    width = values.size(1)
    depth = math.isqrt(width // k)  # R, for which the maxima are as many as the pieces of the k groups
    groups = width // max(1, depth)  # C; piece i is in group i % C, the last V - R*C pieces are in none
    if width < _NARROW or groups < k:
        return values.topk(k, dim=1)
    maxima = values[:, : depth * groups].unflatten(1, (depth, groups)).amax(1)  # (N, C)
    best = maxima.topk(k, dim=1).indices.unsqueeze(1)  # (N, 1, k)
    members, rest = _members(depth, groups, width, values.device)  # (R, 1), (V - R*C,)
    pieces = torch.cat([(best + members).flatten(1), rest.expand(len(values), -1)], dim=1)  # (N, k*R + V - R*C)
    chosen, columns = values.gather(1, pieces).topk(k, dim=1)  # (N, k)
    return chosen, pieces.gather(1, columns)


@lru_cache(maxsize=64)
def _members(depth: int, groups: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the offsets (R, 1) of the pieces of a group from its number, and the pieces in no group (V - R*C,)."""
    return (
        torch.arange(0, depth * groups, groups, device=device).view(-1, 1),
        torch.arange(depth * groups, width, device=device),
    )
