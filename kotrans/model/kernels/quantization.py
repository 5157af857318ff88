"""Weights in fewer bytes, for models that are used and no longer trained.

| precision | matrices | vectors |
| --- | --- | --- |
| fp32 | float32 | float32 |
| bf16 | bfloat16, rounded to nearest | float32 |
| int8 | int8 with a float32 scale for each output channel (row), symmetric around 0 | float32 |

Whatever its file holds, a model has its weights in float32: `restored` undoes all of it when the file is read.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16", "int8"]
_SCALE = "/scale"  # no parameter has a slash in its name
_LARGEST = 127  # -128 is left out, so that w and -w have the same size


def reduced(weights: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """What to store for the weights."""
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if precision == "fp32" or weight.dim() != 2:
            stored[name] = weight.detach()
        elif precision == "bf16":
            stored[name] = weight.detach().to(torch.bfloat16)
        else:
            stored[name], stored[name + _SCALE] = quantized(weight.detach())
    return stored


def restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float32. Raises ValueError if an int8 matrix has no scale that fits."""
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


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers (O, I) and the scale (O, 1) of weight (O, I): the row's largest size becomes 127."""
    scale = weight.abs().amax(1, keepdim=True) / _LARGEST  # (O, 1)
    # 0 / 0 is not a number, and which int8 that becomes is for each processor to choose.
    whole = (weight / scale.where(scale > 0, 1)).round().clamp(-_LARGEST, _LARGEST)  # (O, I)
    return whole.to(torch.int8), scale
