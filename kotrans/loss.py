"""The training loss: cross-entropy of the next piece with label smoothing, summed.

Shape key: B sentences, T target steps, V target pieces.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Loss(NamedTuple):
    """Sums over the real pieces of a batch; the caller divides, so that averages over batches stay exact."""

    smoothed: Tensor  # what is minimised
    nll: Tensor  # negative log-likelihood, without smoothing: perplexity is exp(nll / pieces)


def sequence_loss(logits: Tensor, labels: Tensor, *, pad_id: int, smoothing: float) -> Loss:
    """Sums over labels (B, T) that are not padding, of logits (B, T, V).

    The label's probability is 1 - smoothing, and smoothing is spread evenly over the vocabulary
    (Szegedy et al. 2016, section 7).
    """
    log_probs = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))  # (B, T, V)
    real = labels != pad_id  # (B, T)
    nll = -log_probs.gather(-1, labels.unsqueeze(-1)).squeeze(-1).masked_fill(~real, 0).sum()
    if smoothing == 0:
        return Loss(nll, nll)
    uniform = -log_probs.mean(-1).masked_fill(~real, 0).sum()
    return Loss((1 - smoothing) * nll + smoothing * uniform, nll)
