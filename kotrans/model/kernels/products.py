"""Matrix products in shapes and layouts that CPU kernels compute fast.

Shape key: M rows of an input, padded where stated, N rows of an input before padding, I input width, O output width.
"""

from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.kernels.quantization import quantize_rows

# oneDNN compiles a kernel for every shape of a bfloat16 product, which takes as long as the product and megabytes of
# memory. Rows are padded to multiples, so that few shapes occur.
ROWS_MULTIPLE = 128
FEW_ROWS = 32  # the multiple for products of few rows, as in a search step
_SMALL = 512  # rows; padding smaller products to ROWS_MULTIPLE would waste a large part of the work


def pad_rows(rows: Tensor) -> Tensor:
    """Returns rows (N, I), with rows of zeros appended up to a multiple of ROWS_MULTIPLE.

    Only in bfloat16 on a CPU; otherwise, and for few rows, returns `rows` itself.
    """
    if rows.dtype != torch.bfloat16 or rows.device.type != "cpu" or len(rows) < _SMALL:
        return rows
    missing = -len(rows) % ROWS_MULTIPLE
    return torch.cat([rows, rows.new_zeros(missing, rows.size(1))]) if missing else rows


def pad_few_rows(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns rows (N, I) in another dtype, with rows of zeros appended up to a multiple of FEW_ROWS.

    They must be zeros: a kernel may multiply the memory after a row by 0, and NaN would stay NaN.
    """
    padded = rows.new_zeros(-(-len(rows) // FEW_ROWS) * FEW_ROWS, rows.size(1), dtype=dtype)
    padded[: len(rows)] = rows
    return padded


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Returns x W^T + b (…, O) of inputs (…, I), like torch.nn.functional.linear, with padded rows."""
    if torch.is_autocast_enabled(inputs.device.type):
        inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
    rows = inputs.reshape(-1, inputs.size(-1))  # (N, I)
    padded = pad_rows(rows)  # (M, I)
    if padded is rows:
        return functional.linear(inputs, weight, bias)
    return functional.linear(padded, weight, bias)[: len(rows)].view(*inputs.shape[:-1], len(weight))


class Linear(nn.Linear):
    """torch.nn.Linear computed by `linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


def _has_blocks() -> bool:
    """Returns whether PyTorch and the processor have the oneDNN kernel for bfloat16 weights in blocks."""
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    return all(hasattr(torch.ops.mkldnn, name) for name in names) and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class PackedMatrix:
    """x W^T for one W (O, I) and many x (M, I) of few rows, where reading W is most of the work.

    On a CPU float32 weights are stored by columns, in the order in which the kernel reads them, and bfloat16 weights in
    the blocks of the oneDNN kernel, which would otherwise convert them in each product. On other devices the weight is
    not copied.
    """

    def __init__(self, weight: Tensor, rows: int) -> None:
        """weight (O, I) is copied on a CPU. rows is the approximate number of rows of x."""
        self.in_blocks = weight.is_cpu and weight.dtype == torch.bfloat16 and _has_blocks()
        self._weight = weight.t()  # (I, O)
        if self.in_blocks:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        elif weight.is_cpu:
            self._weight = weight.t().clone(memory_format=torch.contiguous_format)

    def product(self, rows: Tensor, plus: Tensor | None = None) -> Tensor:
        """Returns x W^T (M, O) of rows x (M, I), plus (M, O) added."""
        if not self.in_blocks:
            return rows @ self._weight if plus is None else torch.addmm(plus, rows, self._weight)
        if plus is None:
            return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, self._weight, None, "none", [], ""))
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise.binary(rows, plus, self._weight, None, "add"))

    def add_to(self, sums: Tensor, rows: Tensor) -> None:
        """Adds x W^T of rows x (M, I) in place to sums (M, O), which may be a slice of wider rows."""
        if self.in_blocks:
            sums.add_(self.product(rows))
        else:
            sums.addmm_(rows, self._weight)


class QuantizedMatrix:
    """x W^T for one W (O, I) and many x (N, I), multiplied in int8; CPU only.

    Each row of W has a scale, and each row of x, computed when it is multiplied. Sums of integers are exact, so that no
    row of the result depends on other rows. The result is float32.
    """

    def __init__(self, weight: Tensor) -> None:
        """weight (O, I) is copied."""
        integers, scales = quantize_rows(weight.float())  # (O, I), (O, 1)
        self._scales = scales.flatten()  # (O,)
        self._zero_points = torch.zeros(len(integers), dtype=torch.long)  # (O,)
        self._weight = torch.ops.onednn.qlinear_prepack(integers, None)

    def product(self, rows: Tensor, bias: Tensor | None = None) -> Tensor:
        """Returns x W^T (N, O) of rows x (N, I), plus bias (O,)."""
        integers, scales = _quantize_padded(rows.float())  # (M, I), (N, 1)
        sums = torch.ops.onednn.qlinear_pointwise(
            integers, 1.0, 0, self._weight, self._scales, self._zero_points, None, 1.0, 0, torch.float32, "none", [], ""
        )  # (M, O)
        sums = cast(Tensor, sums)[: len(rows)]
        return sums.mul_(scales) if bias is None else torch.addcmul(bias, sums, scales, out=sums)


@cache
def multiplies_int8() -> bool:
    """Returns whether PyTorch has int8 products that are exact on this processor, as with VNNI or AMX.

    Other processors add pairs of products in 16 bits, with saturation.
    """
    if not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return False
    weight = (torch.arange(64 * 64) * 37 % 255 - 127).view(64, 64).float()
    weight[:, 0] = 127  # makes the scale of every row 1
    return torch.equal(QuantizedMatrix(weight).product(weight), weight @ weight.t())


def _quantize_padded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Returns rows (N, I) in int8, padded to (M, I), and their scales (N, 1)."""
    scales = rows.abs().amax(1, keepdim=True).div_(127).clamp_min_(torch.finfo(torch.float32).tiny)  # (N, 1)
    return pad_few_rows((rows / scales).round_(), torch.int8), scales
