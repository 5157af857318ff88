"""Lower precision stays near full precision."""

import pytest
import torch
from model_examples import CELLS, ENCODERS, PAD, SCORES, sentences, tiny_config, tiny_model
from torch import Tensor

from kotrans.config.schema import Config
from kotrans.model.loss import sequence_loss

pytestmark = pytest.mark.slow


def train_once(config: Config, *, half: bool) -> tuple[Tensor, Tensor]:
    """Returns the loss and all gradients as one vector, in float32 or with bfloat16 products."""
    model, batch = tiny_model(config).float(), sentences()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        output, weights = model.output(batch.source, batch.mask, batch.inputs)
        loss = sequence_loss(output, model.softmax, batch.labels, pad_id=PAD, smoothing=0.1).smoothed
    if weights is not None:
        assert weights.dtype == torch.float32
    assert loss.dtype == torch.float32
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return loss.detach(), torch.cat([gradient.flatten() for gradient in gradients])


def assert_bfloat16_stays_near(config: Config) -> None:
    (loss, gradient), (coarse_loss, coarse_gradient) = (train_once(config, half=half) for half in (False, True))
    assert not torch.equal(coarse_gradient, gradient)
    torch.testing.assert_close(coarse_loss, loss, rtol=0.05, atol=0)
    assert (coarse_gradient - gradient).norm() < 0.15 * gradient.norm()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_bfloat16_stays_near_float32_for_every_score_and_decoder(score: str, cell: str) -> None:
    assert_bfloat16_stays_near(tiny_config(score, decoder={"cell": cell, "layers": 2}))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("cell", "bidirectional"), ENCODERS)
def test_bfloat16_stays_near_float32_for_every_encoder(cell: str, bidirectional: bool, layer_norm: bool) -> None:
    sections = {"encoder": {"bidirectional": bidirectional}, "decoder": {}}
    both = {name: {**values, "cell": cell, "layer_norm": layer_norm} for name, values in sections.items()}
    assert_bfloat16_stays_near(tiny_config("additive", **both))


@pytest.mark.parametrize("score", SCORES)
def test_float32_is_float64_to_rounding(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)), sentences()
    with torch.no_grad():
        exact, _ = model(batch.source, batch.mask, batch.inputs)
        rounded, _ = model.float()(batch.source, batch.mask, batch.inputs)
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-4, atol=1e-4)
