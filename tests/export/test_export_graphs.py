"""ONNX graphs translate as the model does, for any number of sentences of any length."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kotrans.config.loading import override_config
from kotrans.data.tokenizer import PAD
from kotrans.errors import CheckpointError
from kotrans.export.graphs import ENCODER, STEP, State, write_graphs
from kotrans.export.graphs import step as one_step
from kotrans.model.build import build_model
from kotrans.model.incremental.incremental_decoder import IncrementalDecoder
from kotrans.runs.checkpoint import Checkpoint
from kotrans.search.beam import search
from tests.tiny_run import TinyRun, kotrans

onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.e2e


def rebuilt(checkpoint: Checkpoint, *settings: str) -> Checkpoint:
    """Returns the checkpoint with another, untrained network."""
    config = override_config(checkpoint.config, ["decoder.hidden_size=24", *settings])
    model = build_model(config, checkpoint.tokenizer.source.size, checkpoint.tokenizer.target.size)
    return checkpoint._replace(config=config, model=model.eval())


def with_random_biases(checkpoint: Checkpoint) -> Checkpoint:
    """Randomises the biases, which are zeros in a new network: swapped biases would not be noticed."""
    for parameter in checkpoint.model.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(parameter)))
    return checkpoint


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
    checkpoint: Checkpoint, tmp_path: Path, settings: list[str]
) -> None:
    write_graphs(tmp_path, rebuilt(checkpoint, *settings))
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
def test_graphs_have_the_probabilities_of_the_model_at_sizes_other_than_traced(
    checkpoint: Checkpoint, tmp_path: Path, settings: list[str]
) -> None:
    checkpoint = with_random_biases(rebuilt(checkpoint, *settings)) if settings else checkpoint
    write_graphs(tmp_path, checkpoint)
    encoder, step = (onnxruntime.InferenceSession(str(tmp_path / name)) for name in (ENCODER, STEP))
    source = torch.randint(4, 300, (7, 15), generator=torch.Generator().manual_seed(1))  # (B, S)
    source[2, 1:] = source[5, 9:] = PAD
    mask, previous = source != PAD, torch.arange(10, 17)
    given = {"source": source.numpy(), "mask": mask.numpy()}
    parts = dict(zip([part.name for part in encoder.get_outputs()], encoder.run(None, given), strict=True))
    log_probs = step.run(["log_probs"], {"previous": previous.numpy(), "mask": mask.numpy()} | parts)[0]
    with torch.no_grad():
        first = State(*checkpoint.model.start(source, mask))
        expected = one_step(checkpoint.model, first, previous)[0]
    torch.testing.assert_close(torch.from_numpy(log_probs), expected, atol=1e-5, rtol=1e-4)


def test_graphs_of_another_model_fail_their_check(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search_of_another(model: Any, *arguments: Any) -> Any:
        return search(IncrementalDecoder(rebuilt(checkpoint).model), *arguments)

    monkeypatch.setattr("kotrans.export.graphs.search", search_of_another)
    with pytest.raises(CheckpointError, match=r"onnxruntime translates '.*' as '.*', kotrans as '.*'; export without"):
        write_graphs(tmp_path, checkpoint)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_onnx_adds_both_graphs_to_the_exported_files(run: TinyRun, tmp_path: Path, precision: str) -> None:
    result = kotrans("export", "tiny", tmp_path / "out", "--onnx", "--precision", precision)
    assert result.code == 0, result.err
    assert {ENCODER, STEP} <= {line.split()[1] for line in result.lines[:-1]}
    assert f"| `{STEP}` |" in (tmp_path / "out" / "README.md").read_text("utf-8")
    assert kotrans("translate", "--model", tmp_path / "out", "나무").code == 0


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_onnx_packages_the_error_says_what_to_install_and_nothing_is_written(
    run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = kotrans("export", "tiny", tmp_path / "out", "--onnx")
    assert (result.code, result.err.split("\n")[1]) == (
        2, "error: --onnx: needs onnx and onnxruntime; install them: pip install 'kotrans[onnx]'"
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
