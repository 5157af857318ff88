"""Products over all steps at once, which the loops leave for the end.

Shape key: T steps, B sentences.
"""

import torch
from torch import Tensor

from kotrans.model.kernels.products import filled_up


def summed(left: Tensor, right: Tensor) -> Tensor:
    """Sum over t and b of left (T, B, M) times right (T, B, N), as an outer product: (M, N)."""
    return filled_up(left.flatten(0, 1)).t() @ filled_up(right.flatten(0, 1))


def summed_by_sentence(left: Tensor, right: Tensor) -> Tensor:
    """Sum over t of left (T, B, M) times right (T, B, N), as an outer product for each sentence: (B, M, N)."""
    return torch.bmm(left.to(right.dtype).permute(1, 2, 0), right.transpose(0, 1))
