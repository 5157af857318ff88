"""Matrix products in shapes that the kernels of a CPU are quick at.

Shape key: N rows, I width of an input, O width of an output.
"""

from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.kernels.quantization import quantized

# oneDNN makes machine code for every shape of a bfloat16 product: some 5 ms for one of 2,000 rows, as long as the
# product itself, and megabytes to keep. Batches have hundreds of numbers of rows, but few of these.
ROWS = 128
FEW = 32  # where there are few rows, as in a step of a search
_MANY = 512  # of fewer rows a good part would be filling


def filled_up(rows: Tensor) -> Tensor:
    """rows (N, I) with rows of zeros below, up to a number that many batches share.

    They are what they were where shapes cost nothing: anywhere but on a CPU in bfloat16.
    """
    if rows.dtype != torch.bfloat16 or rows.device.type != "cpu" or len(rows) < _MANY:
        return rows
    missing = -len(rows) % ROWS
    return torch.cat([rows, rows.new_zeros(missing, rows.size(1))]) if missing else rows


def few_filled_up(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """rows (N, I) in another type, with rows of zeros below, up to a multiple of `FEW`.

    Rows that nobody asked for are zeros: a kernel may multiply what stands behind a row by 0, and NaN stays NaN.
    """
    filled = rows.new_zeros(-(-len(rows) // FEW) * FEW, rows.size(1), dtype=dtype)
    filled[: len(rows)] = rows
    return filled


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b (…, O) of inputs (…, I), as the library's, but on rows that are filled up."""
    if torch.is_autocast_enabled(inputs.device.type):
        inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
    rows = inputs.reshape(-1, inputs.size(-1))  # (N, I)
    filled = filled_up(rows)
    if filled is rows:
        return functional.linear(inputs, weight, bias)
    return functional.linear(filled, weight, bias)[: len(rows)].view(*inputs.shape[:-1], len(weight))


class Linear(nn.Linear):
    """The library's layer, by `linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


def _has_blocks() -> bool:
    """Whether this build of torch has oneDNN's kernel for weights in blocks, and the processor its instructions."""
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    return all(hasattr(torch.ops.mkldnn, name) for name in names) and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class PackedMatrix:
    """x W^T for one W (N, K) and many x (M, K) of few rows, where reading W is most of the work.

    On a CPU a float32 weight lies by columns, which its kernel reads as they come, and a bfloat16 one in the blocks of
    oneDNN's kernel, which would lay it out anew at each product. Anywhere else it stays as it is.
    """

    def __init__(self, weight: Tensor, rows: int) -> None:
        """weight (N, K) as it is now; later changes are not seen. rows is about how many x will have."""
        self.in_blocks = weight.is_cpu and weight.dtype == torch.bfloat16 and _has_blocks()
        self._weight = weight.t()  # (K, N)
        if self.in_blocks:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        elif weight.is_cpu:
            self._weight = weight.t().clone(memory_format=torch.contiguous_format)

    def product(self, rows: Tensor, plus: Tensor | None = None) -> Tensor:
        """x W^T (M, N) of rows x (M, K), plus (M, N) added."""
        if not self.in_blocks:
            return rows @ self._weight if plus is None else torch.addmm(plus, rows, self._weight)
        if plus is None:
            return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, self._weight, None, "none", [], ""))
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise.binary(rows, plus, self._weight, None, "add"))

    def add_to(self, sums: Tensor, rows: Tensor) -> None:
        """Adds x W^T of rows x (M, K) in place to sums (M, N), which may be a part of wider rows."""
        if self.in_blocks:
            sums.add_(self.product(rows))
        else:
            sums.addmm_(rows, self._weight)


class QuantizedMatrix:
    """x W^T for one W (O, I) and many x (N, I), multiplied in int8: on a CPU only.

    Each row of W has a scale, and each of x its own, found when it comes. Sums of whole numbers are exact, so that no
    row depends on the others. The result is float32: what is rounded is what is multiplied.
    """

    def __init__(self, weight: Tensor) -> None:
        """weight (O, I) as it is now; later changes are not seen."""
        whole, scales = quantized(weight.float())  # (O, I), (O, 1)
        self._scales = scales.flatten()  # (O,)
        self._zeros = torch.zeros(len(whole), dtype=torch.long)  # (O,) which whole numbers stand for 0
        self._weight = torch.ops.onednn.qlinear_prepack(whole, None)

    def product(self, rows: Tensor, bias: Tensor | None = None) -> Tensor:
        """x W^T (N, O) of rows x (N, I), plus bias (O,)."""
        whole, scales = _quantized_rows(rows.float())  # (M, I), (N, 1)
        sums = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, 0, self._weight, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )  # (M, O)
        sums = cast(Tensor, sums)[: len(rows)]
        return sums.mul_(scales) if bias is None else torch.addcmul(bias, sums, scales, out=sums)


@cache
def multiplies_int8() -> bool:
    """Whether this build of torch has products in int8 and the processor adds them exactly, as with VNNI or AMX.

    Others add pairs of them in 16 bits, where large ones are cut off.
    """
    if not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return False
    weight = (torch.arange(64 * 64) * 37 % 255 - 127).view(64, 64).float()
    weight[:, 0] = 127  # the scale of every row is 1
    return torch.equal(QuantizedMatrix(weight).product(weight), weight @ weight.t())


def _quantized_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """rows (N, I) in whole numbers (M, I), filled up to a number of rows that others share, and their scales (N, 1)."""
    scales = rows.abs().amax(1, keepdim=True).div_(127).clamp_min_(torch.finfo(torch.float32).tiny)  # (N, 1)
    return few_filled_up((rows / scales).round_(), torch.int8), scales
