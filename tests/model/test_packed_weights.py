"""Packed weights have the products of the original weights."""

import pytest
import torch
from model_examples import CELLS, sentences, tiny_config, tiny_model

from kotrans.model.incremental.incremental_decoder import IncrementalDecoder
from kotrans.model.incremental.packed_weights import LARGEST_TABLE, PackedDecoder, PackedLinear


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_products_of_pieces_are_the_same_with_a_table_and_without(cell: str, layer_norm: bool) -> None:
    model, batch = tiny_model(tiny_config(decoder={"cell": cell, "layer_norm": layer_norm})), sentences()
    source, state = model.start(batch.source, batch.mask)
    hidden = state.layers[0].hidden
    read, _ = model.decoder.attend(source, hidden.unsqueeze(1))
    with_table, without = (
        PackedDecoder(model.decoder, model.target_embedding.weight, torch.double, largest_table=largest)
        for largest in (LARGEST_TABLE, 0)
    )
    outputs = [
        packed(state, packed.state_products(hidden, read.squeeze(1)), batch.inputs[:, 0])[0]
        for packed in (with_table, without)
    ]
    assert outputs[0].any()
    torch.testing.assert_close(*outputs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inner", [3, 64])
def test_a_product_is_right_for_any_number_of_rows(precision: torch.dtype, inner: int) -> None:
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


def test_hypotheses_with_the_same_parent_share_its_state() -> None:
    model, batch = IncrementalDecoder(tiny_model(tiny_config())), sentences()
    _, state, _ = model.step(model.start(batch.source, batch.mask), batch.inputs[:, 0])
    siblings = model.select(state, torch.tensor([0, 0, 0, 2, 1, 1]))
    assert len(siblings.decoder.layers[0].hidden) == 3
    logits, _, _ = model.step(siblings, torch.tensor([5, 5, 6, 5, 6, 6]))
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[4], logits[5])
    assert not torch.equal(logits[0], logits[2])
    # Selecting twice is the same as selecting once.
    again = model.select(siblings, torch.tensor([2, 1, 5]))
    direct = model.select(state, torch.tensor([0, 0, 1]))
    previous = torch.tensor([6, 5, 6])
    assert torch.equal(model.step(again, previous)[0], model.step(direct, previous)[0])
