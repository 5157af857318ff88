"""The k largest values, with ties broken by index."""

import numpy as np
import pytest
import torch

from kotrans.engine.torch_topk import largest, most_probable


@pytest.mark.parametrize("k", [1, 2, 7, 49, 50])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_largest_are_in_descending_order_with_ties_in_order_of_index(k: int, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(k)
    values = torch.randint(-9, 0, (40, 50), generator=random).to(dtype)
    values[:, ::7] = -torch.inf
    expected = values.sort(dim=1, descending=True, stable=True)
    chosen, indices = largest(values, k)
    assert np.array_equal(chosen, expected.values[:, :k].double())
    possible = chosen > -np.inf  # values of -inf are never chosen: their order is undefined
    assert np.array_equal(indices[possible], expected.indices[:, :k].numpy()[possible])


@pytest.mark.parametrize("width", [511, 512, 1000, 1013])
@pytest.mark.parametrize("k", [1, 5, 40, 300])
def test_the_largest_of_a_long_row_are_found_inside_and_outside_of_groups(width: int, k: int) -> None:
    random = torch.Generator().manual_seed(width + k)
    distinct = torch.rand(30, width, generator=random).argsort(1).float()  # a permutation in every row
    equals = torch.randint(0, 40, (30, width), generator=random).float()
    for values in (distinct, equals):
        expected = values.sort(dim=1, descending=True, stable=True)
        chosen, indices = largest(values, k)
        assert np.array_equal(chosen, expected.values[:, :k])
        assert np.array_equal(indices, expected.indices[:, :k])


@pytest.mark.parametrize("loud", [0, 1, 2, 3, 7])
def test_probabilities_are_normalised_over_all_pieces_including_special_ones(loud: int) -> None:
    logits = torch.randn(9, 600, generator=torch.Generator().manual_seed(loud)) * 3
    logits[:, loud] += 200  # nearly all the probability, and its exp overflows in float32
    expected = logits.double().log_softmax(1)
    log_probs, pieces = most_probable(logits.clone(), 4)
    assert not {0, 1, 3} & set(pieces.flatten().tolist())
    torch.testing.assert_close(torch.from_numpy(log_probs), expected.gather(1, torch.from_numpy(pieces)))
