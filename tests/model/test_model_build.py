"""Networks of configs: their parameters, tied parameters and initial weights."""

import pytest
import torch
from model_examples import CELLS, SCORES, SOURCE_SIZE, TARGET_SIZE, sentences, tiny_config
from torch import Tensor, nn

from kotrans.config.schema import Config
from kotrans.model.build import assign_weights, build_model, build_without_weights
from kotrans.model.cells import Cell, LSTMCell
from kotrans.model.seq2seq import Seq2Seq


def build(config: Config) -> Seq2Seq:
    return build_model(config, SOURCE_SIZE, TARGET_SIZE)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_a_model_has_the_number_of_parameters_of_its_equations() -> None:
    model = build(tiny_config("additive", encoder={"layers": 2}, decoder={"layers": 2}))
    embedding, hidden, memory, state, size = 4, 3, 6, 5, 4
    encoder = 2 * 4 * hidden * ((embedding + hidden + 2) + (memory + hidden + 2))  # the kernels have two biases
    first_cell = 4 * state * (embedding + memory + state + 1)
    second_cell = 4 * state * (state + state + 2)
    attention = size * state + size * memory + size
    bridges = 2 * (hidden + 1) * state
    deep_output = (state + embedding + memory + 1) * embedding
    softmax = (embedding + 1) * TARGET_SIZE
    assert count(model.encoder) == encoder
    assert count(model.decoder) == first_cell + second_cell + attention + bridges + deep_output
    embeddings = (SOURCE_SIZE + TARGET_SIZE) * embedding
    assert count(model) == embeddings + count(model.encoder) + count(model.decoder) + softmax


@pytest.mark.parametrize(
    ("score", "weights"),
    [
        ("additive", 4 * 5 + 4 * 6 + 4),
        ("cosine", 5 * 6 + 1),
        ("cosine with beta 1", 5 * 6),
        ("cosine of equal widths", 1),
        ("location", 7 * 5),
        ("general", 5 * 6),
        ("scaled general", 5 * 6),
        ("dot", 0),
        ("scaled dot", 0),
    ],
)
def test_a_score_has_the_parameters_of_its_equation_and_no_others(score: str, weights: int) -> None:
    attention = build(tiny_config(score)).decoder.attention
    assert attention is not None
    assert count(attention) == weights


@pytest.mark.parametrize("tie", ["none", "decoder"])
def test_a_lexical_model_adds_its_two_matrices_and_nothing_else(tie: str) -> None:
    plain, lexical = (
        build(tiny_config(score, embeddings={"tie": tie})) for score in ("additive", "additive and lexical")
    )
    assert count(lexical) - count(plain) == 4 * 4 + TARGET_SIZE * 4
    names = {name.replace("softmax.deep", "softmax") for name, _ in lexical.named_parameters()}
    added = {"decoder.lexical.hidden.weight", "softmax.lexical.weight"}
    assert names == added | {name for name, _ in plain.named_parameters()}


def test_without_attention_there_is_no_score() -> None:
    assert build(tiny_config("none")).decoder.attention is None


@pytest.mark.parametrize(("tie", "matrices"), [("none", 3), ("decoder", 2), ("all", 1)])
def test_tied_matrices_share_one_parameter(tie: str, matrices: int) -> None:
    config = tiny_config(embeddings={"tie": tie}, tokenizer={"joint": True})
    model = build_model(config, TARGET_SIZE, TARGET_SIZE)
    weights = [model.target_embedding.weight, model.softmax.weight, model.source_embedding.weight]
    assert len({weight.data_ptr() for weight in weights}) == matrices
    assert (weights[0] is weights[1]) == (tie != "none")
    untied = build_model(tiny_config(), TARGET_SIZE, TARGET_SIZE)
    assert count(untied) - count(model) == (3 - matrices) * TARGET_SIZE * 4


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("tie", ["none", "decoder", "all"])
def test_a_network_built_without_weights_takes_given_ones_without_a_copy(tie: str, layer_norm: bool) -> None:
    sections = {name: {"layer_norm": layer_norm} for name in ("encoder", "decoder")}
    config = tiny_config("cosine", embeddings={"tie": tie}, tokenizer={"joint": True}, **sections)
    model, batch = build_model(config, TARGET_SIZE, TARGET_SIZE), sentences()
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    loaded = build_without_weights(config, TARGET_SIZE, TARGET_SIZE)
    assert all(parameter.is_meta for parameter in loaded.parameters())
    assign_weights(loaded, weights)
    assert {name: weight.data_ptr() for name, weight in loaded.named_parameters()} == {
        name: weight.data_ptr() for name, weight in weights.items()
    }
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    source = batch.source % TARGET_SIZE
    expected, logits = (each(source, batch.mask, batch.inputs)[0] for each in (model, loaded))
    assert torch.equal(logits, expected)


def test_the_gradient_of_a_tied_matrix_is_the_sum_of_both_uses() -> None:
    gradients: dict[str, Tensor] = {}
    batch = sentences()
    for tie in ("none", "decoder"):
        model = build(tiny_config(embeddings={"tie": tie})).double()
        with torch.no_grad():
            model.softmax.weight.copy_(model.target_embedding.weight)
        model(batch.source, batch.mask, batch.inputs)[0].square().sum().backward()
        first, second = model.target_embedding.weight.grad, model.softmax.weight.grad
        assert first is not None
        assert second is not None
        gradients[tie] = first if tie == "decoder" else first + second
    torch.testing.assert_close(gradients["decoder"], gradients["none"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_initial_weights_depend_on_the_config_alone(score: str) -> None:
    first = build(tiny_config(score)).state_dict()
    torch.rand(3)
    second = build(tiny_config(score)).state_dict()
    assert all(torch.equal(second[name], weight) for name, weight in first.items())
    other = build(tiny_config(score).model_copy(update={"seed": 2})).state_dict()
    assert not torch.equal(other["source_embedding.weight"], first["source_embedding.weight"])


def test_building_a_model_changes_no_global_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_seed(seed: int) -> None:
        raise AssertionError("a device was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", no_seed)
    before = torch.random.get_rng_state()
    build(tiny_config())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_biases_start_at_zero_and_a_forget_gate_at_one(kind: str, layer_norm: bool) -> None:
    section = {"cell": kind, "layers": 2, "layer_norm": layer_norm}
    model = build(tiny_config(encoder=section, decoder=section))
    cells = [module for module in model.modules() if isinstance(module, Cell | nn.RNNBase)]
    assert len(cells) == 6
    for cell in cells:
        names = [name for name, _ in cell.named_parameters(recurse=False) if name.startswith("bias")]
        biases = [cell.get_parameter(name) for name in names]
        if isinstance(cell, nn.LSTM | LSTMCell):
            size = cell.hidden_size
            total = sum(biases, torch.zeros(4 * size))
            assert total.tolist() == [0.0] * size + [1.0] * size + [0.0] * 2 * size
        else:
            assert all(bias.abs().sum() == 0 for bias in biases)
    linears = [module for module in model.modules() if isinstance(module, nn.Linear) and module.bias is not None]
    assert linears
    assert all(linear.bias.abs().sum() == 0 for linear in linears)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_each_gate_starts_with_an_orthogonal_recurrent_matrix(layer_norm: bool) -> None:
    model = build(tiny_config(encoder={"layer_norm": layer_norm}, decoder={"layer_norm": layer_norm}))
    matrices = [
        parameter for name, parameter in model.named_parameters() if name.endswith(("weight_hh_l0", "weight_hidden"))
    ]
    assert len(matrices) == 3
    for matrix in matrices:
        for gate in matrix.split(matrix.size(1)):
            torch.testing.assert_close(gate @ gate.T, torch.eye(len(gate)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("section", "cells"), [("encoder", 4), ("decoder", 2)])
def test_layer_norm_of_a_section_applies_to_every_cell_of_that_section_and_no_other(section: str, cells: int) -> None:
    sections = {name: {"layers": 2, "layer_norm": name == section} for name in ("encoder", "decoder")}
    model = build(tiny_config("additive", **sections))
    normed = [
        name.split(".")[0]
        for name, module in model.named_modules()
        if name.endswith("input_norm") and isinstance(module, nn.LayerNorm)
    ]
    assert normed == [section] * cells


def test_initial_embeddings_have_standard_deviation_width_to_the_minus_half() -> None:
    model = build_model(tiny_config(embeddings={"size": 100, "tie": "decoder"}), 500, 500)
    for weight in (model.source_embedding.weight, model.target_embedding.weight, model.softmax.weight):
        assert abs(weight.std().item() - 0.1) < 0.003
        assert abs(weight.mean().item()) < 0.003
