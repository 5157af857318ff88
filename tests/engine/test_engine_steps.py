"""Both engines compute step by step what teacher forcing computes, with rows dropped, repeated and joined."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from engines import (
    ENGINES,
    ROUNDING,
    WORDS,
    Engine,
    arrays,
    assert_weights,
    distribution,
    engine_of,
    force,
    start,
)
from model_examples import (
    CELLS,
    ENCODERS,
    SCORES,
    TARGET_SIZE,
    Sentences,
    randomize,
    sentences,
    tiny_config,
    tiny_model,
)

from kotrans.config.schema import Config
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_engine import OnnxEngine
from kotrans.engine.torch_engine import TorchEngine
from kotrans.errors import CheckpointError, ModelError
from kotrans.model.build import build_model

pytestmark = pytest.mark.slow


def assert_teacher_forcing(name: str, config: Config, score: str = "additive") -> None:
    model, batch = tiny_model(config), sentences()
    logits, weights = model(batch.source, batch.mask, batch.inputs)
    expected = logits.log_softmax(-1).detach().numpy()
    engine = engine_of(name, config, model)
    _, log_probs, step_weights = force(engine, start(engine, batch), batch.inputs.numpy())
    np.testing.assert_allclose(log_probs, expected[..., WORDS], rtol=0, atol=ROUNDING[name])
    assert (step_weights is None) == (weights is None) == (score == "none")
    if weights is not None and step_weights is not None:
        assert_weights(step_weights, weights.detach().numpy(), ROUNDING[name])


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", ENGINES)
def test_steps_have_the_results_of_teacher_forcing_for_every_score_and_cell(
    name: str, score: str, cell: str, layers: int
) -> None:
    assert_teacher_forcing(name, tiny_config(score, decoder={"cell": cell, "layers": layers}), score)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "bidirectional"), ENCODERS)
@pytest.mark.parametrize("name", ENGINES)
def test_steps_have_the_results_of_teacher_forcing_for_every_encoder(
    name: str, cell: str, bidirectional: bool, layers: int, layer_norm: bool
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "layers": layers, "layer_norm": layer_norm}
    assert_teacher_forcing(
        name, tiny_config("additive", encoder=encoder, decoder={"layers": 2, "cell": cell, "layer_norm": layer_norm})
    )


@pytest.mark.parametrize("score", ["none", "additive and lexical"])
@pytest.mark.parametrize("tie", ["decoder", "all"])
def test_tied_matrices_are_used_in_every_place(tie: str, score: str) -> None:
    config, batch = tiny_config(score, embeddings={"tie": tie}, tokenizer={"joint": True}), sentences()
    model = build_model(config, TARGET_SIZE, TARGET_SIZE).double().eval()
    randomize(model)
    source = batch.source.clamp(max=TARGET_SIZE - 1)
    expected = model(source, batch.mask, batch.inputs)[0].log_softmax(-1).detach().numpy()
    engine = OnnxEngine([ModelWeights(arrays(model), config, "model")], TARGET_SIZE, TARGET_SIZE)
    _, log_probs, _ = force(engine, engine.start(source.numpy(), batch.mask.numpy()), batch.inputs.numpy())
    np.testing.assert_allclose(log_probs, expected[..., WORDS], rtol=0, atol=ROUNDING["onnxruntime"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ENGINES)
def test_cells_that_dropped_out_in_training_are_read_like_library_cells(name: str, cell: str) -> None:
    dropping: dict[str, Mapping[str, object]] = {
        "dropout": {"recurrent": 0.5}, "encoder": {"cell": cell}, "decoder": {"cell": cell, "layers": 2},
    }  # fmt: skip
    assert_teacher_forcing(name, tiny_config("additive", **dropping))


def test_pieces_are_multiplied_in_each_step_if_their_table_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kotrans.engine.decoder_graph.LARGEST_TABLE", 0)
    for layer_norm in (False, True):
        assert_teacher_forcing("onnxruntime", tiny_config("additive", decoder={"layer_norm": layer_norm}))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", ENGINES)
def test_selected_rows_continue_as_if_alone(name: str, score: str, cell: str) -> None:
    config = tiny_config(score, decoder={"cell": cell, "layers": 2})
    engine, batch = engine_of(name, config, tiny_model(config)), sentences()
    state, _, _ = force(engine, start(engine, batch), batch.inputs.numpy()[:, :2])
    rows = np.array([3, 0, 0, 2])  # reordered, repeated, one dropped
    further = np.random.default_rng(0).integers(0, TARGET_SIZE, (4, 2))
    _, log_probs, weights = force(engine, engine.select(state, rows), further)
    for place, row in enumerate(rows.tolist()):
        history = np.concatenate([batch.inputs[row, :2].numpy(), further[place]])[None]
        _, expected, expected_weights = force(engine, start(engine, batch.row(row)), history)
        np.testing.assert_allclose(log_probs[place], expected[0, 2:], rtol=0, atol=ROUNDING[name])
        if weights is not None and expected_weights is not None:
            assert_weights(weights[place], expected_weights[0, 2:], ROUNDING[name])


@pytest.mark.parametrize("name", ENGINES)
def test_a_step_does_not_modify_the_previous_state(name: str) -> None:
    config = tiny_config(decoder={"layers": 2})
    engine, batch = engine_of(name, config, tiny_model(config)), sentences()
    state, previous = start(engine, batch), batch.inputs[:, 0].numpy()
    first, again = (engine.step(state, previous, 3)[0] for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", ENGINES)
def test_a_given_piece_has_the_probability_that_a_step_reports(name: str) -> None:
    config = tiny_config("general")
    engine, batch = engine_of(name, config, tiny_model(config)), sentences()
    state, previous = start(engine, batch), batch.inputs[:, 0].numpy()
    log_probs, pieces, _, weights = engine.step(state, previous, 4)
    for rank in range(4):
        given, _, given_weights = engine.score(state, previous, pieces[:, rank])
        np.testing.assert_allclose(given, log_probs[:, rank], rtol=0, atol=ROUNDING[name])
        assert weights is not None
        assert given_weights is not None
        assert np.array_equal(given_weights, weights)
    assert np.isfinite(engine.score(state, previous, np.array([0, 1, 3, 0]))[0]).all()  # special ones too


def assert_as_if_alone(
    engine: Engine, batch: Sentences, owners: list[int], pieces: list[list[int]], found: Any, weights: Any,
    tolerance: float,
) -> None:  # fmt: skip
    """Compares log-probabilities and weights of each row with those of its sentence and pieces alone."""
    for row, (owner, history) in enumerate(zip(owners, pieces, strict=True)):
        _, expected, expected_weights = force(engine, start(engine, batch.row(owner)), np.array([history]))
        np.testing.assert_allclose(found[row], expected[0, -1], rtol=0, atol=tolerance)
        if weights is not None and expected_weights is not None:
            assert_weights(weights[row], expected_weights[0, -1], tolerance)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", ENGINES)
def test_hypotheses_in_any_number_and_order_continue_as_if_alone(name: str, score: str) -> None:
    config = tiny_config(score)
    engine, batch = engine_of(name, config, tiny_model(config)), sentences()
    state, owners = start(engine, batch), list(range(len(batch.source)))
    pieces = [[piece] for piece in batch.inputs[:, 0].tolist()]
    random = np.random.default_rng(1)
    for rows in ([0, 0, 0, 1, 2, 2, 3], [0, 1, 2, 3, 4, 6], [5, 0, 2, 0], [1, 1, 0], [2, 1, 0]):
        _, state, _ = distribution(engine, state, np.array([history[-1] for history in pieces]))
        state = engine.select(state, np.array(rows))
        owners, pieces = [owners[row] for row in rows], [pieces[row] for row in rows]
        further = random.integers(0, TARGET_SIZE, len(rows)).tolist()
        pieces = [[*history, piece] for history, piece in zip(pieces, further, strict=True)]
    found, _, weights = distribution(engine, state, np.array([history[-1] for history in pieces]))
    assert_as_if_alone(engine, batch, owners, pieces, found, weights, ROUNDING[name])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("name", "options"),
    [("torch", {"group_size": 1}), ("torch", {"group_size": 2}), ("torch", {}), ("onnxruntime", {})],
)
def test_sentences_that_join_and_those_before_are_computed_as_if_alone(
    name: str, options: dict[str, int], score: str
) -> None:
    config = tiny_config(score)
    engine = engine_of(name, config, tiny_model(config), **options)
    batch = sentences((2, 5, 3, 4, 1, 5), (3, 4, 2, 4, 3, 4))
    longest = batch.mask.sum(1).argsort(descending=True)
    owners, pieces, state = list[int](), list[list[int]](), None
    for joins, rows in (([0, 3], [0, 0, 1]), ([1, 2], [0, 0, 1, 2, 3, 4]), ([4, 5], [5, 6, 7, 7]), ([0], [0, 3, 4])):
        width = int(batch.mask[longest[joins]].sum(1).max())  # a group is as wide as its longest sentence
        started = engine.start(batch.source[longest[joins], :width].numpy(), batch.mask[longest[joins], :width].numpy())
        state = started if state is None else engine.join(state, started)
        owners += [int(longest[row]) for row in joins]
        pieces += [[int(batch.inputs[longest[row], 0])] for row in joins]
        found, state, weights = distribution(engine, state, np.array([history[-1] for history in pieces]))
        assert_as_if_alone(engine, batch, owners, pieces, found, weights, ROUNDING[name])
        state = engine.select(state, np.array(rows))
        owners, pieces = [owners[row] for row in rows], [[*pieces[row], 4 + row % 3] for row in rows]


def test_encoder_outputs_are_stored_once_per_sentence_and_removed_with_its_last_hypothesis() -> None:
    config = tiny_config()
    engine = engine_of("onnxruntime", config, tiny_model(config))
    source = np.full((8, 5), 6)
    state = engine.start(source, source > 0)
    memory = state.encoded["m0/memory"]
    many = engine.select(state, np.arange(8).repeat(30))
    assert many.encoded["m0/memory"] is memory  # not copied for 240 hypotheses
    seven = engine.select(many, np.arange(30, 240))
    assert seven.encoded["m0/memory"] is memory  # nor when one sentence has no more hypotheses
    six = engine.select(seven, np.arange(30, 210))
    assert len(six.encoded["m0/memory"]) == 6
    assert len(six.decoder["m0/hidden0"]) == 6  # hypotheses of a parent share its state
    assert len(six.parents) == 180


def test_sentences_that_join_are_grouped_by_length_on_torch() -> None:
    engine = TorchEngine([tiny_model(tiny_config())])
    source = np.full((12, 9), 6)
    mask = np.arange(9) < np.array([9, 1] * 6)[:, None]
    (state,) = engine.join(engine.start(source, mask), engine.start(source[:4], mask[:4]))
    assert [tuple(group.mask.shape) for group in state.sources.groups] == [(8, 9), (8, 1)]


@pytest.mark.parametrize("name", ENGINES)
def test_an_ensemble_has_the_mean_probability_and_the_mean_attention(name: str) -> None:
    config, batch = tiny_config(), sentences()
    models = [tiny_model(config) for _ in range(3)]
    for scale, model in enumerate(models):
        for parameter in model.parameters():
            parameter.data *= 1 - scale / 4
    whole, *alone = (engine_of(name, config, *members) for members in (models, *([each] for each in models)))
    _, found, weights = force(whole, start(whole, batch), batch.inputs.numpy())
    parts = [force(each, start(each, batch), batch.inputs.numpy())[1:] for each in alone]
    mean = np.log(np.mean([np.exp(log_probs) for log_probs, _ in parts], axis=0))
    np.testing.assert_allclose(found, mean, rtol=0, atol=ROUNDING[name])
    assert weights is not None
    assert_weights(weights, np.mean([each for _, each in parts if each is not None], axis=0), ROUNDING[name])


@pytest.mark.parametrize("name", ENGINES)
def test_a_source_longer_than_the_positions_of_the_model_is_an_error(name: str) -> None:
    config = tiny_config("location")
    engine, source = engine_of(name, config, tiny_model(config)), np.full((1, 8), 5)
    with pytest.raises(ModelError, match=r"a source has 8 pieces, but .* attention\.max_source_length 7"):
        engine.step(engine.start(source, source > 0), np.array([1]), 1)


def test_weights_that_do_not_fit_the_config_are_an_error_that_names_the_first() -> None:
    model = tiny_model(tiny_config())
    for config, message in (
        (
            tiny_config("location"),
            r"do not belong to the model that the config describes \(decoder\.attention\.position",
        ),
        (tiny_config("none"), r"do not belong .* \(decoder\.attention"),
        (tiny_config(embeddings={"size": 8}), r"\.weight has shape \(11, 4\), but \(11, 8\) by the config"),
    ):
        with pytest.raises(CheckpointError, match=message):
            engine_of("onnxruntime", config, model)


@pytest.mark.parametrize("score", SCORES)
def test_bfloat16_steps_on_torch_stay_near_bfloat16_teacher_forcing(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)).float(), sentences()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits, _ = model(batch.source, batch.mask, batch.inputs)
    engine = TorchEngine([model], torch.bfloat16)
    _, log_probs, _ = force(engine, start(engine, batch), batch.inputs.numpy())
    expected = logits.float().log_softmax(-1).numpy()[..., WORDS]
    np.testing.assert_allclose(log_probs, expected, rtol=0, atol=0.1)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
