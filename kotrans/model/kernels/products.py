"""Matrix products in shapes and layouts that CPU kernels compute fast.

Shape key: M rows of an input, padded where stated, N rows of an input before padding, I input width, O output width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.kernels.private_operators import has_bfloat16_blocks, multiply_blocks, pack_blocks

# oneDNN compiles a kernel for every shape of a bfloat16 product, which takes as long as the product and megabytes of
# memory. Rows are padded to multiples, so that few shapes occur.
ROWS_MULTIPLE = 128
_SMALL = 512  # rows; padding smaller products to ROWS_MULTIPLE would waste a large part of the work


def pad_rows(rows: Tensor) -> Tensor:
    """Returns rows (N, I), with rows of zeros appended up to a multiple of ROWS_MULTIPLE.

    Only in bfloat16 on a CPU; otherwise, and for few rows, returns `rows` itself.
    """
    if rows.dtype != torch.bfloat16 or rows.device.type != "cpu" or len(rows) < _SMALL:
        return rows
    missing = -len(rows) % ROWS_MULTIPLE
    return torch.cat([rows, rows.new_zeros(missing, rows.size(1))]) if missing else rows


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


class PackedMatrix:
    """x W^T for one W (O, I) and many x (M, I) of few rows, where reading W is most of the work.

    On a CPU float32 weights are stored by columns, in the order in which the kernel reads them, and bfloat16 weights in
    the blocks of the oneDNN kernel, which would otherwise convert them in each product. On other devices the weight is
    not copied.
    """

    def __init__(self, weight: Tensor, rows: int) -> None:
        """weight (O, I) is copied on a CPU. rows is the approximate number of rows of x."""
        self.in_blocks = weight.is_cpu and weight.dtype == torch.bfloat16 and has_bfloat16_blocks()
        self._weight = weight.t()  # (I, O)
        if self.in_blocks:
            self._weight = pack_blocks(weight, rows)
        elif weight.is_cpu:
            self._weight = weight.t().clone(memory_format=torch.contiguous_format)

    def product(self, rows: Tensor, plus: Tensor | None = None) -> Tensor:
        """Returns x W^T (M, O) of rows x (M, I), plus (M, O) added."""
        if not self.in_blocks:
            return rows @ self._weight if plus is None else torch.addmm(plus, rows, self._weight)
        return multiply_blocks(rows, self._weight, plus)

    def add_to(self, sums: Tensor, rows: Tensor) -> None:
        """Adds x W^T of rows x (M, I) in place to sums (M, O), which may be a slice of wider rows."""
        if self.in_blocks:
            sums.add_(self.product(rows))
        else:
            sums.addmm_(rows, self._weight)
