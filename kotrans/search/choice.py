"""Choosing pieces by probability, so that equal ones are told apart by their ids alone."""

import torch
from torch import Tensor

from kotrans.errors import ModelError
from kotrans.tokenizer import BOS, PAD, UNK

# Shape key: N rows, V vocabulary, k choices.


def forbid_special(logits: Tensor) -> None:
    """Takes away, in place, the pieces that a translation never holds; the others of logits (N, V) stay."""
    for piece in (PAD, BOS, UNK):
        logits[:, piece] = -torch.inf


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of values (N, V) in falling order and their indices, of equal ones the first.

    `topk` alone may take any of equal values, and which one can depend on how many rows it is given.
    """
    chosen, indices = values.topk(min(k + 1, values.size(1)), dim=1)  # (N, k + 1): the next one tells of a tie
    tied = ((chosen[:, k - 1 : k] == chosen[:, k:]) & (chosen[:, k:] > -torch.inf)).any(1).nonzero().flatten()
    indices = indices[:, :k]
    if tied.numel():
        indices[tied] = values[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    indices = indices.sort(dim=1).values  # (N, k)
    chosen, order = values.gather(1, indices).sort(dim=1, descending=True, stable=True)
    return chosen, indices.gather(1, order)


def check_possible(best: Tensor) -> None:
    """Raises ModelError if a sentence's best log-probability is not a number or stands for 0."""
    if not best.isfinite().all():
        raise ModelError(
            "the model gives no probability to any piece: its weights are damaged or its training diverged; "
            "take an earlier checkpoint"
        )
