"""The k largest, with ties told apart by their place alone."""

import pytest
import torch

from kotrans.search.choice import largest


@pytest.mark.parametrize("k", [1, 2, 7, 49, 50])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_largest_come_in_falling_order_and_of_equal_ones_the_first(k: int, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(k)
    values = torch.randint(-9, 0, (40, 50), generator=random).to(dtype)
    values[:, ::7] = -torch.inf
    expected = values.sort(dim=1, descending=True, stable=True)
    chosen, indices = largest(values, k)
    assert torch.equal(chosen, expected.values[:, :k])
    possible = chosen > -torch.inf  # what has probability 0 is never taken, so that its order is free
    assert torch.equal(indices[possible], expected.indices[:, :k][possible])
