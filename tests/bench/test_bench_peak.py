"""The machine's peak."""

from itertools import count

import pytest
import torch

from kotrans.bench.machine import matrix_peak


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_peak_is_that_of_the_fastest_size(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr("kotrans.bench.machine.time.perf_counter", lambda: 0.5 * next(ticks))
    monkeypatch.setattr("kotrans.bench.machine._SIZES", {"cpu": (8, 32, 16)})
    told: list[float] = []
    peak = matrix_peak(torch.device("cpu"), precision, 3.0, told.append)
    assert peak.size == 32  # when every product takes half a second
    assert peak.flops_per_second == 2 * 32**3 / 0.5
    assert told == [0.0, 1.0, 2.0, 3.0]


def test_the_best_of_several_products_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each looks at the time three times: for the round, before and after the product.
    times = iter([0.0, 0.0, 1.0, 2.0, 1.0, 2.0, 2.25, 3.0, 3.0, 4.0, 9.0])
    monkeypatch.setattr("kotrans.bench.machine.time.perf_counter", lambda: next(times))
    monkeypatch.setattr("kotrans.bench.machine._SIZES", {"cpu": (8,)})
    assert matrix_peak(torch.device("cpu"), "fp32", 5.0, lambda _: None).flops_per_second == 2 * 8**3 / 0.25
