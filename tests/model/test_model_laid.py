"""What a search multiplies by is the model's, however it is laid out."""

import pytest
import torch
from model_examples import CELLS, sentences, tiny_config, tiny_model

from kotrans.model.incremental.incremental_decoder import IncrementalDecoder
from kotrans.model.incremental.packed_weights import PackedLinear


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_vocabulary_too_large_for_a_table_gives_what_the_table_gives(
    cell: str, layer_norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = tiny_model(tiny_config(decoder={"cell": cell, "layer_norm": layer_norm})), sentences()
    looked_up = IncrementalDecoder(model)
    monkeypatch.setattr("kotrans.model.incremental.packed_weights._LARGEST_TABLE", 0)
    computed = IncrementalDecoder(model)
    first, second = (
        stepper.step(stepper.start(batch.source, batch.mask), batch.inputs[:, 0])[0]
        for stepper in (looked_up, computed)
    )
    assert not torch.equal(first, torch.zeros_like(first))
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inner", [3, 64])
def test_a_row_is_multiplied_alike_beside_any_number_of_others(precision: torch.dtype, inner: int) -> None:
    random = torch.Generator().manual_seed(inner)
    weight, x = torch.randn(40, inner, generator=random), torch.randn(70, inner, generator=random)
    product = PackedLinear(weight, precision)
    coarse = (x.to(precision).double() @ weight.to(precision).double().t()).float()
    for count in (1, 31, 32, 33, 70):
        found = product(x[:count])
        assert found.shape == (count, 40)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, coarse[:count], rtol=0.01, atol=0.01)
        sums = torch.ones(count, 50)
        product.add_to(sums[:, 10:], x[:count])
        torch.testing.assert_close(sums[:, 10:], coarse[:count] + 1, rtol=0.01, atol=0.01)
        assert torch.equal(sums[:, :10], torch.ones(count, 10))


def test_hypotheses_that_continue_the_same_one_take_its_state_from_one_place() -> None:
    model, batch = IncrementalDecoder(tiny_model(tiny_config())), sentences()
    _, state, _ = model.step(model.start(batch.source, batch.mask), batch.inputs[:, 0])
    siblings = model.select(state, torch.tensor([0, 0, 0, 2, 1, 1]))
    assert len(siblings.decoder.layers[0].hidden) == 3
    logits, _, _ = model.step(siblings, torch.tensor([5, 5, 6, 5, 6, 6]))
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[4], logits[5])
    assert not torch.equal(logits[0], logits[2])
    # A selection of a selection is one selection.
    again = model.select(siblings, torch.tensor([2, 1, 5]))
    direct = model.select(state, torch.tensor([0, 0, 1]))
    previous = torch.tensor([6, 5, 6])
    assert torch.equal(model.step(again, previous)[0], model.step(direct, previous)[0])
