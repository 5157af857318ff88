"""Weights in fewer bytes: bounds of the rounding error."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kotrans.export.quantization import as_read, quantize_weights


def drawn(rows: int, columns: int, seed: int) -> Tensor:
    """Returns a matrix (rows, columns) whose rows differ by many orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 10.0 ** torch.randint(-8, 8, (rows, 1), generator=generator)
    return torch.randn(rows, columns, generator=generator) * sizes


def read_back(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in as_read(stored).items()}


MATRICES = st.builds(drawn, st.integers(1, 9), st.integers(1, 17), st.integers(0, 2**31))


@given(MATRICES)
def test_int8_changes_no_weight_by_more_than_half_a_step_of_its_row(matrix: Tensor) -> None:
    step = matrix.abs().amax(1, keepdim=True).double() / 127
    moved = (read_back(quantize_weights({"m": matrix}, "int8"))["m"].double() - matrix.double()).abs()
    assert (moved <= step * 0.5001).all()


@given(MATRICES)
def test_int8_keeps_the_largest_weight_of_a_row_and_is_symmetric(matrix: Tensor) -> None:
    largest = matrix.abs().amax(1)
    back = read_back(quantize_weights({"m": matrix}, "int8"))["m"]
    torch.testing.assert_close(back.abs().amax(1), largest)
    assert torch.equal(read_back(quantize_weights({"m": -matrix}, "int8"))["m"], -back)


@given(MATRICES)
def test_bf16_changes_no_weight_by_more_than_one_256th(matrix: Tensor) -> None:
    back = read_back(quantize_weights({"m": matrix}, "bf16"))["m"]
    assert back.dtype == torch.float32
    assert ((back - matrix).abs() <= matrix.abs() / 256).all()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_vectors_scalars_and_rows_of_zeros_do_not_change(precision: str) -> None:
    weights = {"bias": torch.randn(7), "beta": torch.tensor(0.1), "m": torch.tensor([[0.0, 0.0], [0.3, -0.7]])}
    back = read_back(quantize_weights(weights, precision))  # type: ignore[arg-type]
    assert back.keys() == weights.keys()
    assert torch.equal(back["bias"], weights["bias"])
    assert torch.equal(back["beta"], weights["beta"])
    assert not back["m"][0].any()


def test_fp32_changes_no_bit() -> None:
    matrix = drawn(5, 6, 1)
    assert torch.equal(read_back(quantize_weights({"m": matrix}, "fp32"))["m"], matrix)


@given(MATRICES)
def test_matrices_take_the_bytes_of_their_precision(matrix: Tensor) -> None:
    size = {
        precision: sum(tensor.nbytes for tensor in quantize_weights({"m": matrix}, precision).values())
        for precision in ("fp32", "bf16", "int8")
    }
    count, rows = matrix.numel(), len(matrix)
    assert size == {"fp32": 4 * count, "bf16": 2 * count, "int8": count + 4 * rows}


@pytest.mark.parametrize("scale", [None, torch.ones(3), torch.ones(1, 1), torch.ones(3, 2)])
def test_int8_without_a_scale_for_each_row_is_refused(scale: Tensor | None) -> None:
    stored = {"m": torch.ones(3, 2, dtype=torch.int8)} | ({} if scale is None else {"m/scale": scale})
    with pytest.raises(ValueError, match="m: no scale for each row"):
        as_read(stored)
