"""Dropout: its inputs, its units, and nothing in evaluation."""

import numpy as np
import pytest
import torch
from model_examples import (
    ALL_DROPOUT,
    CELLS,
    SCORES,
    Sentences,
    randomize,
    read_weights,
    sentences,
    tiny_config,
    tiny_model,
)
from numpy_reference import run_model
from torch import Tensor, nn

from kotrans.model.cells import CellState, RNNCell
from kotrans.model.dropout import Dropout, WordDropout, use_generator
from kotrans.model.encoder import LoopedRecurrence
from kotrans.model.seq2seq import Seq2Seq


def logits_of(model: Seq2Seq, batch: Sentences) -> Tensor:
    logits, _ = model(batch.source, batch.mask, batch.inputs)
    return logits.detach()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_nothing_is_dropped_in_evaluation(score: str, cell: str) -> None:
    layers = {"cell": cell, "layers": 2}
    config = tiny_config(score, dropout=ALL_DROPOUT, encoder=layers, decoder=layers)
    model, batch = tiny_model(config), sentences()
    logits, weights = logits_of(model, batch), read_weights(config, model)
    for row, length in enumerate(batch.mask.sum(1).tolist()):
        expected, _ = run_model(weights, batch.source[row, :length].tolist(), batch.inputs[row].tolist())
        np.testing.assert_allclose(logits[row], expected, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(logits_of(model.train(), batch), logits)


@pytest.mark.parametrize("score", SCORES)
def test_without_dropout_training_mode_computes_the_same_bits_as_evaluation(score: str) -> None:
    model, batch = tiny_model(tiny_config(score, encoder={"layers": 2}, decoder={"layers": 2})), sentences()
    before = torch.random.get_rng_state()
    assert torch.equal(logits_of(model.train(), batch), logits_of(model.eval(), batch))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("option", ALL_DROPOUT)
def test_each_dropout_option_changes_the_logits_in_training_only(option: str) -> None:
    layers = {"layers": 2}
    model = tiny_model(tiny_config(dropout={option: 0.5}, encoder=layers, decoder=layers))
    batch = sentences()
    plain = logits_of(model, batch)
    assert torch.equal(logits_of(model, batch), plain)
    assert not torch.allclose(logits_of(model.train(), batch), plain)


# The tensors that each option drops from: embedded source and target, inputs of layers, memory, deep output.
PLACES = {
    "embedding": {"source", "target", "first layer"},
    "layers": {"second layer", "memory", "upper layer"},
    "recurrent": set(),
    "output": {"softmax"},
    "source_word": {"source", "first layer"},
    "target_word": {"target"},
}


@pytest.mark.parametrize("option", PLACES)
def test_each_dropout_option_applies_to_its_inputs_and_no_others(option: str) -> None:
    config = tiny_config(dropout={option: 0.5}, encoder={"layers": 2}, decoder={"layers": 2})
    model, batch = tiny_model(config).train(), sentences((6,) * 20, (6,) * 20)
    model.train_by_plain_steps(True)  # the hand-written pass does not call the hooked modules
    watched = {
        "source": ("encoder", 0),
        "target": ("decoder", 2),
        "first layer": ("encoder.layers.0.1", 0),
        "second layer": ("encoder.layers.1.1", 0),
        "memory": ("decoder.attention", 2),
        "upper layer": ("decoder.upper.0", 0),
        "softmax": ("softmax", 0),
    }
    dropped = set()
    for place, (name, position) in watched.items():

        def look(module: nn.Module, inputs: tuple[Tensor, ...], place: str = place, position: int = position) -> None:
            if (inputs[position] == 0).any():
                dropped.add(place)

        model.get_submodule(name).register_forward_pre_hook(look)
    logits_of(model, batch)
    assert dropped == PLACES[option]


@pytest.mark.parametrize("option", PLACES)
def test_lexical_vectors_are_dropped_by_output_dropout_alone(option: str) -> None:
    model = tiny_model(tiny_config("additive and lexical", dropout={option: 0.1})).train()
    seen: list[Tensor] = []
    model.softmax.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    logits_of(model, sentences((6,) * 20, (6,) * 20))
    deep, lexical = ((part == 0).any() for part in seen[0].split(4, dim=-1))
    assert bool(deep) == bool(lexical) == (option == "output")


@pytest.mark.parametrize(("section", "score"), [("encoder", "none"), ("decoder", "additive")])
def test_dropout_options_add_no_parameters(section: str, score: str) -> None:
    dropped = {name: share for name, share in ALL_DROPOUT.items() if name != "recurrent"}
    plain = tiny_model(tiny_config(score, **{section: {"layers": 2}}))
    with_dropout = tiny_model(tiny_config(score, dropout=dropped, **{section: {"layers": 2}}))
    with_dropout.load_state_dict(plain.state_dict())
    assert torch.equal(logits_of(with_dropout, sentences()), logits_of(plain, sentences()))


def test_recurrent_dropout_uses_one_mask_per_sentence_for_all_steps() -> None:
    share, sizes = 0.5, (6, 9, 8)
    recurrent = LoopedRecurrence("rnn", 3, sizes[2], layer_norm=False, dropout=share).double()
    randomize(recurrent)
    cell = recurrent.cell
    with torch.no_grad():
        cell.weight_hidden.copy_(torch.eye(sizes[2]))  # so that a state shows which elements of the last one were kept
        cell.weight_input.mul_(0.1)
        inputs = torch.randn(*sizes[:2], 3, dtype=torch.double)
        start = CellState(torch.full((sizes[0], sizes[2]), 0.5, dtype=torch.double), None)
        states, _ = recurrent.train()(inputs, start)
    before = torch.cat([start.hidden.unsqueeze(1), states[:, :-1]], dim=1)
    kept = (states.atanh() - cell.project(inputs) - cell.bias).detach() / before  # (B, T, H)
    torch.testing.assert_close(kept, kept[:, :1].expand_as(kept), rtol=1e-6, atol=1e-6)
    is_dropped, is_kept = (torch.isclose(kept, torch.tensor(v, dtype=torch.double)) for v in (0.0, 1 / (1 - share)))
    assert (is_dropped | is_kept).all()
    assert is_dropped.any()
    assert is_kept.any()
    assert not torch.allclose(kept[0], kept[1])


@pytest.mark.parametrize("cell", CELLS)
def test_the_decoder_uses_one_mask_per_sentence_for_all_steps(cell: str) -> None:
    model, batch = tiny_model(tiny_config(decoder={"cell": cell}, dropout={"recurrent": 0.5})).train(), sentences()
    model.train_by_plain_steps(True)  # the hand-written pass does not call the hooked modules
    masks: list[Tensor] = []
    model.decoder.cell.register_forward_pre_hook(lambda module, inputs: masks.append(inputs[2]))
    logits_of(model, batch)
    assert len(masks) == batch.inputs.size(1)
    assert all(torch.equal(mask, masks[0]) for mask in masks)
    assert masks[0].unique().tolist() == [0.0, 2.0]
    assert not torch.equal(masks[0][0], masks[0][1])
    logits_of(model, batch)
    assert not torch.equal(masks[-1], masks[0])


def test_a_dropped_state_does_not_enter_the_recurrent_product() -> None:
    cell = RNNCell(2, 3).double()
    randomize(cell)
    x, hidden = torch.randn(1, 2, dtype=torch.double), torch.randn(1, 3, dtype=torch.double)
    mask = torch.tensor([[0.0, 2.0, 0.0]], dtype=torch.double)
    dropped = cell(cell.project(x), CellState(hidden, None), mask)
    expected = torch.tanh(x @ cell.weight_input.T + cell.bias + 2 * hidden[:, 1] * cell.weight_hidden[:, 1])
    torch.testing.assert_close(dropped.hidden, expected, rtol=1e-12, atol=1e-12)


def test_word_dropout_zeroes_whole_embeddings_and_does_not_scale_the_others() -> None:
    share, embedded = 0.3, torch.rand(200, 50, 4) + 1
    dropped = WordDropout(share).train()(embedded)
    gone = (dropped == 0).all(-1)
    assert torch.equal(dropped[~gone], embedded[~gone])
    assert abs(gone.float().mean().item() - share) < 0.02
    assert torch.equal(WordDropout(share).eval()(embedded), embedded)


@pytest.mark.parametrize("side", ["source", "target"])
def test_word_dropout_of_a_side_applies_to_that_side_only(side: str) -> None:
    model = tiny_model(tiny_config(dropout={f"{side}_word": 0.9})).train()
    batch = sentences((20, 20), (20, 20))
    seen: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module, position: int) -> None:
        module.register_forward_pre_hook(lambda _, inputs: seen.__setitem__(name, inputs[position]))

    watch("source", model.encoder, 0)
    watch("target", model.decoder, 2)
    logits_of(model, batch)
    for name, embedded in seen.items():
        gone = (embedded == 0).all(-1)
        assert gone.any() == (name == side)
        assert torch.equal(gone, (embedded == 0).any(-1))
        assert not gone.all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_zeroes_a_share_of_p_and_keeps_the_mean(share: float) -> None:
    inputs = torch.ones(101, 103, 7, dtype=torch.double)
    outputs = Dropout(share).train()(inputs)
    kept = (outputs != 0).double().mean().item()
    assert kept == pytest.approx(1 - share, abs=0.01)
    assert outputs.max().item() == pytest.approx(1 / (1 - share), rel=1e-3)
    assert outputs.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(Dropout(share).eval()(inputs), inputs)


def test_dropout_with_p_near_one_stays_finite() -> None:
    assert Dropout(1 - 1e-9).train()(torch.ones(1000)).isfinite().all()


def test_neighbouring_elements_are_dropped_independently() -> None:
    kept = (Dropout(0.5).train()(torch.ones(400, 400)) != 0).flatten()
    for distance in (1, 2, 3, 4, 400):
        both = (kept[distance:] & kept[:-distance]).double().mean().item()
        assert both == pytest.approx(0.25, abs=0.01)


def test_dropout_draws_from_the_generator_of_the_thread() -> None:
    dropout, inputs = Dropout(0.5).train(), torch.ones(5, 7)

    def drawn(seed: int) -> Tensor:
        with use_generator(torch.Generator().manual_seed(seed)):
            return torch.stack([dropout(inputs), dropout(inputs)])

    first = drawn(1)
    assert torch.equal(drawn(1), first)
    assert not torch.equal(drawn(2), first)
    assert not torch.equal(first[0], first[1])
