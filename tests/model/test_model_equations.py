"""Every model against the NumPy reference of the equations, which shares no code with it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_examples import (
    CELLS,
    ENCODERS,
    SCORES,
    TARGET_SIZE,
    Sentences,
    read_weights,
    sentences,
    tiny_config,
    tiny_model,
)
from numpy_reference import encode, run_model

from kotrans.config.schema import Config


def assert_same(ours: torch.Tensor, reference: object) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), np.asarray(reference), rtol=1e-12, atol=1e-12)


def assert_model_is_the_reference(config: Config, batch: Sentences) -> None:
    """Compares logits and attention weights of every sentence, to rounding in float64."""
    model = tiny_model(config)
    weights = read_weights(config, model)
    for row in range(len(batch.source)):
        length = int(batch.mask[row].sum())
        expected, expected_alphas = run_model(weights, batch.source[row, :length].tolist(), batch.inputs[row].tolist())
        for plain in (True, False):
            model.train_by_plain_steps(plain)
            logits, alphas = model(batch.source, batch.mask, batch.inputs)
            assert_same(logits[row], expected)
            assert (alphas is None) == (expected_alphas is None)
            if alphas is not None:
                assert_same(alphas[row, :, :length], expected_alphas)


@pytest.mark.parametrize("decoder", CELLS)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("encoder", "bidirectional"), ENCODERS)
def test_every_encoder_score_and_decoder_follow_the_equations(
    encoder: str, bidirectional: bool, score: str, decoder: str
) -> None:
    config = tiny_config(
        score,
        encoder={"cell": encoder, "bidirectional": bidirectional, "layers": 2},
        decoder={"cell": decoder, "layers": 2},
    )
    assert_model_is_the_reference(config, sentences())


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", ["additive", "none"])
def test_any_number_of_layers_follows_the_equations(score: str, cell: str, layers: int) -> None:
    config = tiny_config(score, encoder={"cell": cell, "layers": layers}, decoder={"cell": cell, "layers": layers})
    assert_model_is_the_reference(config, sentences())


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": {"recurrent": 0.5}},
        {"encoder": {"layer_norm": True}},
        {"decoder": {"layer_norm": True}},
        {"embeddings": {"tie": "decoder"}},
        {"embeddings": {"tie": "all"}, "tokenizer": {"joint": True}},
        {"embeddings": {"tie": "all"}, "tokenizer": {"joint": True}, "decoder": {"lexical": True}},
    ],
    ids=["own cells", "encoder norm", "decoder norm", "tied decoder", "all tied", "all tied and lexical"],
)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_option_follows_the_equations(
    cell: str, bidirectional: bool, options: dict[str, Mapping[str, object]]
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "layers": 2, **options.get("encoder", {})}
    decoder = {"cell": cell, "layers": 2, **options.get("decoder", {})}
    config = tiny_config("general", **{**options, "encoder": encoder, "decoder": decoder})
    batch = sentences()  # a tied matrix has the target ids only
    assert_model_is_the_reference(config, replace(batch, source=batch.source % TARGET_SIZE))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "bidirectional"), ENCODERS)
def test_an_encoder_output_has_the_states_the_initial_and_the_final_one(
    cell: str, bidirectional: bool, layers: int
) -> None:
    config = tiny_config(encoder={"cell": cell, "bidirectional": bidirectional, "layers": layers})
    model, batch = tiny_model(config), sentences()
    weights = read_weights(config, model)
    encoded = model.encoder(model.source_embedding(batch.source), batch.mask)
    for row, length in enumerate(batch.mask.sum(1).tolist()):
        expected = encode(weights.encoder, weights.source_embedding[batch.source[row, :length].numpy()])
        assert_same(encoded.memory[row, :length], expected.memory)
        assert_same(encoded.initial[row], expected.first)
        assert_same(encoded.final[row], expected.final)
        assert encoded.memory[row, length:].abs().sum() == 0
