"""Matrix products in shapes and layouts for fast kernels have the results of plain products."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kotrans.model.kernels.products import (
    ROWS_MULTIPLE,
    Linear,
    PackedMatrix,
    linear,
    pad_rows,
)

KINDS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])


def matrix(rows: int, width: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(left: Tensor, right: Tensor, dtype: torch.dtype) -> bool:
    """Returns whether two tensors are equal up to the rounding of sums of some ten numbers."""
    return torch.allclose(
        left.double(), right.double(), atol=40 * torch.finfo(dtype).eps, rtol=2 * torch.finfo(dtype).eps
    )


@KINDS
@pytest.mark.parametrize("plus", [False, True])
def test_a_packed_matrix_has_the_products_of_its_weight(dtype: torch.dtype, plus: bool) -> None:
    weight, added = matrix(9, 7, dtype), matrix(5, 9, dtype, 2) if plus else None
    packed = PackedMatrix(weight, 5)
    for rows in (5, 1, 3):  # other numbers of rows than announced, too
        x = matrix(rows, 7, dtype, 1)
        more = None if added is None else added[:rows]
        expected = x.double() @ weight.double().t() + (0 if more is None else more.double())
        assert close(packed.product(x, more), expected, dtype)
        if more is not None:
            wider = torch.cat([more, more], dim=1)
            packed.add_to(wider[:, :9], x)
            assert close(wider[:, :9], expected, dtype)
            assert torch.equal(wider[:, 9:], more)


def test_a_packed_matrix_is_a_copy() -> None:
    weight, x = matrix(9, 7, torch.float32), matrix(5, 7, torch.float32, 1)
    before = x @ weight.t()
    packed = PackedMatrix(weight, 5)
    weight.zero_()
    assert torch.allclose(packed.product(x), before)


def test_many_bfloat16_rows_are_padded_with_zeros_to_multiples() -> None:
    sizes = {len(pad_rows(matrix(rows, 3, torch.bfloat16))) for rows in range(1000, 1400, 7)}
    assert sizes == {1024, 1152, 1280, 1408}
    assert len(pad_rows(matrix(4 * ROWS_MULTIPLE, 3, torch.bfloat16))) == 4 * ROWS_MULTIPLE
    filled = pad_rows(matrix(1001, 3, torch.bfloat16))
    assert torch.equal(filled[:1001], matrix(1001, 3, torch.bfloat16))
    assert not filled[1001:].any()


def test_few_rows_and_other_dtypes_are_not_padded() -> None:
    for rows in (matrix(300, 3, torch.bfloat16), matrix(1001, 3, torch.float32), matrix(1001, 3, torch.float64)):
        assert pad_rows(rows) is rows


@pytest.mark.parametrize("shape", [(1001, 4), (13, 77, 4), (4,), (0, 4)])
def test_a_layer_with_padded_rows_has_the_values_and_gradients_of_the_library(shape: tuple[int, ...]) -> None:
    layer = Linear(4, 3)
    inputs = torch.randn(*shape, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        ours, library = layer(inputs), functional.linear(inputs, layer.weight, layer.bias)
    assert ours.dtype == library.dtype == torch.bfloat16
    assert ours.shape == library.shape
    assert torch.equal(ours, library)
    wanted = (inputs, layer.weight, layer.bias)
    grad = torch.randn_like(ours)
    for mine, theirs in zip(
        torch.autograd.grad(ours, wanted, grad), torch.autograd.grad(library, wanted, grad), strict=True
    ):
        assert torch.allclose(mine, theirs, rtol=0.02, atol=0.02 * float(theirs.abs().max()) if theirs.numel() else 0)


def test_without_autocast_a_product_has_the_dtype_of_its_inputs() -> None:
    inputs, weight = matrix(1001, 4, torch.bfloat16), matrix(3, 4, torch.bfloat16, 1)
    assert torch.equal(linear(inputs, weight), functional.linear(inputs, weight))
