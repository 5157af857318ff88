"""Matrix products in shapes and layouts for fast kernels have the results of plain products."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kotrans.model.kernels.products import (
    FEW_ROWS,
    ROWS_MULTIPLE,
    Linear,
    PackedMatrix,
    QuantizedMatrix,
    linear,
    pad_rows,
)
from kotrans.model.kernels.quantization import quantize_rows
from tests.processors import INT8

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


@INT8
def test_an_int8_product_is_the_scaled_sum_of_integer_products() -> None:
    weight, x, bias = matrix(70, 33, torch.float32), matrix(9, 33, torch.float32, 1), matrix(1, 70, torch.float32, 2)[0]
    (whole, scales), (rows, of_rows) = quantize_rows(weight), quantize_rows(x)
    sums = rows.numpy().astype(np.int64) @ whole.numpy().astype(np.int64).T
    expected = torch.from_numpy(sums) * scales.double().t() * of_rows.double()
    assert torch.allclose(QuantizedMatrix(weight).product(x).double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(QuantizedMatrix(weight).product(x, bias).double(), expected + bias, rtol=1e-5, atol=1e-5)
    assert QuantizedMatrix(weight.double()).product(x.double()).dtype == torch.float32


@INT8
def test_the_error_of_an_int8_product_is_bounded_by_its_rounding_steps() -> None:
    weight, x = matrix(70, 33, torch.float64), matrix(9, 33, torch.float64, 1)
    of_weight, of_x = (each.abs().amax(1) / 127 / 2 for each in (weight, x))  # the largest rounding error: half a step
    bound = x.abs().sum(1)[:, None] * of_weight + of_x[:, None] * weight.abs().sum(1) + 33 * of_x[:, None] * of_weight
    error = (QuantizedMatrix(weight).product(x) - x @ weight.t()).abs()
    assert (error <= bound * 1.001).all()
    assert error.max() > 0


@INT8
@pytest.mark.parametrize("rows", [1, 7, FEW_ROWS, FEW_ROWS + 1, 3 * FEW_ROWS])
def test_a_row_of_an_int8_product_does_not_depend_on_other_rows(rows: int) -> None:
    product, x = QuantizedMatrix(matrix(70, 33, torch.float32)).product, matrix(3 * FEW_ROWS, 33, torch.float32, 1)
    assert torch.equal(product(x[:rows]), product(x)[:rows])
    x[1] = torch.nan
    x[2] = 0
    assert torch.equal(product(x)[:1], product(x[:1]))
    assert product(x)[1].isnan().all()
    assert not product(x)[2].any()
