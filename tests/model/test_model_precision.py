"""Lower precision stays near full precision."""

import pytest
import torch
from model_examples import CELLS, ENCODERS, PAD, SCORES, sentences, tiny_config, tiny_model
from torch import Tensor

from kotrans.config.schema import Config
from kotrans.errors import ConfigError
from kotrans.model.incremental import incremental_decoder
from kotrans.model.incremental.incremental_decoder import IncrementalDecoder
from kotrans.model.loss import sequence_loss
from tests.processors import INT8

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
def test_bfloat16_steps_have_the_logits_of_bfloat16_teacher_forcing(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)).float(), sentences()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits, _ = model(batch.source, batch.mask, batch.inputs)
    stepper, steps = IncrementalDecoder(model, torch.bfloat16), []
    state = stepper.start(batch.source, batch.mask)
    for previous in batch.inputs.unbind(1):
        step, state, _ = stepper.step(state, previous)
        steps.append(step)
    assert {step.dtype for step in steps} == {torch.float32}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    torch.testing.assert_close(torch.stack(steps, dim=1), logits.float(), rtol=0.05, atol=0.05)


@INT8
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("lexical", [False, True])
def test_int8_steps_stay_near_float32_and_do_not_depend_on_other_rows(lexical: bool, layer_norm: bool) -> None:
    config = tiny_config(decoder={"lexical": lexical, "layer_norm": layer_norm, "layers": 2})
    model, batch = tiny_model(config).float(), sentences()
    exact, whole = IncrementalDecoder(model), IncrementalDecoder(model, torch.int8)
    alone = [whole.start(batch.source[i : i + 1], batch.mask[i : i + 1]) for i in range(len(batch.source))]
    states = [stepper.start(batch.source, batch.mask) for stepper in (exact, whole)]
    for previous in batch.inputs.unbind(1):
        logits, states[0], _ = exact.step(states[0], previous)
        coarse, states[1], _ = whole.step(states[1], previous)
        assert coarse.dtype == torch.float32
        assert not torch.equal(coarse, logits)
        torch.testing.assert_close(coarse, logits, rtol=0.05, atol=0.05)
        for i, state in enumerate(alone):
            own, alone[i], _ = whole.step(state, previous[i : i + 1])
            torch.testing.assert_close(own[0], coarse[i], rtol=0, atol=0.02)


@pytest.mark.parametrize("score", SCORES)
def test_float32_is_float64_to_rounding(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)), sentences()
    with torch.no_grad():
        exact, _ = model(batch.source, batch.mask, batch.inputs)
        rounded, _ = model.float()(batch.source, batch.mask, batch.inputs)
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-4, atol=1e-4)


def test_int8_is_refused_on_a_processor_with_inexact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental_decoder, "multiplies_int8", lambda: False)
    with pytest.raises(ConfigError, match=r"^hardware\.precision: int8 is not exact on this processor"):
        IncrementalDecoder(tiny_model(tiny_config()).float(), torch.int8)
