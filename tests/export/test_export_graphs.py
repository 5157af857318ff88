"""ONNX graphs translate as the model does, for any number of sentences of any length."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from kotrans.config.loading import override_config
from kotrans.data.tokenizer import PAD
from kotrans.engine.model_weights import ModelWeights
from kotrans.errors import CheckpointError
from kotrans.export.graphs import ENCODER, STEP, write_graphs
from kotrans.model.build import assign_weights, build_model
from kotrans.runs.model_files import ModelFiles
from tests.tiny_run import TinyRun, kotrans

pytestmark = pytest.mark.e2e


def rebuilt(model: ModelFiles, *settings: str) -> ModelFiles:
    """Returns the model with another, untrained network, with random biases: swapped zeros would not be noticed."""
    config = override_config(model.config, ["decoder.hidden_size=24", *settings])
    network = build_model(config, model.tokenizer.source.size, model.tokenizer.target.size)
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(parameter)))
    weights = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    return model._replace(config=config, weights=weights)


@pytest.mark.parametrize(
    "settings",
    [
        ["attention.score=additive", "encoder.cell=gru", "encoder.layers=2"],
        ["attention.score=dot", "decoder.cell=gru"],
        ["attention.score=general", "encoder.cell=rnn", "decoder.cell=rnn"],
        ["attention.score=cosine", "decoder.layers=2", "decoder.layer_norm=true"],
        ["attention.score=location", "attention.max_source_length=12"],
        ["encoder.layer_norm=true", "decoder.layer_norm=true", "encoder.layers=2", "decoder.layers=2"],
        ["dropout.recurrent=0.2", "encoder.cell=gru", "decoder.cell=gru", "encoder.bidirectional=false"],
        ["encoder.cell=rnn", "encoder.layer_norm=true", "dropout.recurrent=0.2", "encoder.layers=2"],
        ["decoder.lexical=true", "embeddings.tie=decoder"],
        ["attention.score=none", "encoder.bidirectional=false", "embeddings.tie=decoder"],
    ],
    ids=lambda settings: settings[0].partition("=")[2],
)
def test_graphs_of_every_score_and_cell_pass_their_check(
    model: ModelFiles, tmp_path: Path, settings: list[str]
) -> None:
    write_graphs(tmp_path, rebuilt(model, *settings))
    assert sorted(path.name for path in tmp_path.iterdir()) == [STEP, ENCODER]


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["encoder.layer_norm=true", "encoder.layers=2", "decoder.layer_norm=true", "decoder.layers=2"],
        ["encoder.layer_norm=true", "encoder.cell=gru", "encoder.bidirectional=false"],
        ["dropout.recurrent=0.5", "encoder.cell=gru", "decoder.cell=gru", "decoder.layers=2"],
        ["dropout.recurrent=0.5", "encoder.layers=2"],
    ],
    ids=["as trained", "normed lstm", "normed gru", "gru that dropped", "lstm that dropped"],
)
def test_graphs_have_the_probabilities_of_the_model(model: ModelFiles, tmp_path: Path, settings: list[str]) -> None:
    model = rebuilt(model, *settings) if settings else model
    write_graphs(tmp_path, model)
    encoder, step = (onnxruntime.InferenceSession(str(tmp_path / name)) for name in (ENCODER, STEP))
    source = np.random.default_rng(1).integers(4, 300, (7, 15))  # (B, S)
    source[2, 1:] = source[5, 9:] = PAD
    mask, previous = source != PAD, np.arange(10, 17)
    parts = dict(
        zip(
            [part.name for part in encoder.get_outputs()],
            encoder.run(None, {"source": source, "mask": mask}),
            strict=True,
        )
    )
    log_probs = step.run(["log_probs"], {"previous": previous, "mask": mask} | parts)[0]
    network = build_model(model.config, model.tokenizer.source.size, model.tokenizer.target.size).eval()
    assign_weights(network, {name: torch.from_numpy(np.array(weight)) for name, weight in model.weights.items()})
    with torch.no_grad():
        inputs = torch.from_numpy(previous).unsqueeze(1)
        logits, _ = network(torch.from_numpy(source), torch.from_numpy(mask), inputs)  # (B, 1, V)
    np.testing.assert_allclose(log_probs, logits[:, 0].log_softmax(-1).numpy(), rtol=1e-4, atol=1e-4)


def test_graphs_of_another_model_fail_their_check(
    model: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = rebuilt(model)

    def weights_of_another(weights: Any, config: Any, path: Any) -> ModelWeights:
        return ModelWeights(other.weights, other.config, path)

    def written_first(*arguments: Any) -> ModelWeights:
        monkeypatch.setattr("kotrans.export.graphs.ModelWeights", weights_of_another)
        return ModelWeights(*arguments)

    monkeypatch.setattr("kotrans.export.graphs.ModelWeights", written_first)
    with pytest.raises(CheckpointError, match=r"onnxruntime translates '.*' as '.*', kotrans as '.*'; export without"):
        write_graphs(tmp_path, model)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_onnx_adds_both_graphs_to_the_exported_files(run: TinyRun, tmp_path: Path, precision: str) -> None:
    result = kotrans("export", "tiny", tmp_path / "out", "--onnx", "--precision", precision)
    assert result.code == 0, result.err
    assert {ENCODER, STEP} <= {line.split()[1] for line in result.lines[:-1]}
    assert f"| `{STEP}` |" in (tmp_path / "out" / "README.md").read_text("utf-8")
    assert kotrans("translate", "--model", tmp_path / "out", "나무").code == 0
