"""The speed of matrix products."""

import pytest
import torch

from kotrans.bench.machine import matrix_peak


def test_sizes_that_take_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    multiplied: list[int] = []
    rand = torch.rand

    def noted(*size: int, device: torch.device) -> torch.Tensor:
        multiplied.append(size[0])
        return rand(*size, device=device)

    monkeypatch.setattr(torch, "rand", noted)
    assert matrix_peak(torch.device("cpu"), "fp32", 0.02, lambda spent: None, (16, 32, 40_000)).flops_per_second > 0
    assert set(multiplied) == {16, 32}
