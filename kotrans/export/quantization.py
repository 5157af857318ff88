"""Weights stored in fewer bytes, for models that are no longer trained.

| precision | matrices | vectors |
| --- | --- | --- |
| fp32 | float32 | float32 |
| bf16 | bfloat16, rounded to nearest | float32 |
| int8 | int8 with a float32 scale per output channel (row), symmetric around 0 | float32 |

`kotrans.runs.model_files` converts the stored weights back to float32 when a file is read.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kotrans.runs.model_files import SCALE, dequantize_weights

Precision = Literal["fp32", "bf16", "int8"]
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
            stored[name], stored[name + SCALE] = quantize_rows(weight.detach())
    return stored


def as_read(stored: Mapping[str, Tensor]) -> dict[str, npt.NDArray[np.float32]]:
    """Returns the weights in float32 as a reader of the file gets them."""
    bits = {
        name: tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor for name, tensor in stored.items()
    }
    return dequantize_weights({name: tensor.cpu().numpy() for name, tensor in bits.items()})


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns weight (O, I) in int8 and the scale (O, 1) of each row, which maps its largest absolute value to 127."""
    scale = weight.abs().amax(1, keepdim=True) / _LARGEST  # (O, 1)
    # A row of zeros is divided by 1: converting NaN to int8 depends on the processor.
    integers = (weight / scale.where(scale > 0, 1)).round().clamp(-_LARGEST, _LARGEST)  # (O, I)
    return integers.to(torch.int8), scale
