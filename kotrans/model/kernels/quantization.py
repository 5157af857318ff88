"""Weights stored in fewer bytes, for models that are no longer trained.

| precision | matrices | vectors |
| --- | --- | --- |
| fp32 | float32 | float32 |
| bf16 | bfloat16, rounded to nearest | float32 |
| int8 | int8 with a float32 scale per output channel (row), symmetric around 0 | float32 |

`dequantize_weights` converts the stored weights back to float32 when a file is read.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16", "int8"]
_SCALE = "/scale"  # suffix; parameter names contain no slash
_LARGEST = 127  # -128 is unused: the range is symmetric


def quantize_weights(weights: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Returns the tensors to store for the weights."""
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if precision == "fp32" or weight.dim() != 2:
            stored[name] = weight.detach()
        elif precision == "bf16":
            stored[name] = weight.detach().to(torch.bfloat16)
        else:
            stored[name], stored[name + _SCALE] = quantize_rows(weight.detach())
    return stored


def dequantize_weights(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights in float32. Raises ValueError if an int8 matrix has no scale of the right shape."""
    weights: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if tensor.dtype == torch.int8:
            scale = stored.get(name + _SCALE)
            if scale is None or scale.shape != (len(tensor), 1):
                raise ValueError(f"{name}: no scale for each row")
            weights[name] = tensor.float() * scale
        elif not name.endswith(_SCALE):
            weights[name] = tensor.float()
    return weights


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns weight (O, I) in int8 and the scale (O, 1) of each row, which maps its largest absolute value to 127."""
    scale = weight.abs().amax(1, keepdim=True) / _LARGEST  # (O, 1)
    # A row of zeros is divided by 1: converting NaN to int8 depends on the processor.
    integers = (weight / scale.where(scale > 0, 1)).round().clamp(-_LARGEST, _LARGEST)  # (O, I)
    return integers.to(torch.int8), scale
