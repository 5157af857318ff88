"""A search, which goes step by step, drops rows and repeats them, sees the model that was trained."""

import pytest
import torch
from model_examples import CELLS, ENCODERS, SCORES, TARGET_SIZE, sentences, tiny_config, tiny_model
from torch import Tensor, nn

from kotrans.model.stepping import SearchModel, SearchState


def assert_close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def force(model: SearchModel, state: SearchState, inputs: Tensor) -> tuple[SearchState, Tensor, Tensor | None]:
    """Steps through inputs (N, T): the last state, log probabilities (N, T, V) and weights (N, T, S)."""
    log_probs, weights = [], []
    for previous in inputs.unbind(1):
        logits, state, weight = model.step(state, previous)
        log_probs.append(logits.log_softmax(-1))
        if weight is not None:
            weights.append(weight)
    return state, torch.stack(log_probs, dim=1), torch.stack(weights, dim=1) if weights else None


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_steps_give_what_teacher_forcing_gives(score: str, cell: str, layers: int) -> None:
    model, batch = tiny_model(tiny_config(score, decoder={"cell": cell, "layers": layers})), sentences()
    logits, weights = model(batch.source, batch.mask, batch.inputs)
    stepper = SearchModel(model)
    _, log_probs, step_weights = force(stepper, stepper.start(batch.source, batch.mask), batch.inputs)
    assert_close(log_probs, logits.log_softmax(-1))
    assert_close(log_probs.exp().sum(-1), torch.ones(batch.inputs.shape, dtype=torch.double))
    assert (step_weights is None) == (weights is None) == (score == "none")
    if weights is not None and step_weights is not None:
        assert_close(step_weights, weights)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("cell", "bidirectional"), ENCODERS)
def test_steps_give_what_teacher_forcing_gives_for_every_encoder(
    cell: str, bidirectional: bool, layer_norm: bool
) -> None:
    sections = {"encoder": {"cell": cell, "bidirectional": bidirectional}, "decoder": {"layers": 2, "cell": cell}}
    model = tiny_model(
        tiny_config("additive", **{name: {**section, "layer_norm": layer_norm} for name, section in sections.items()})
    )
    batch = sentences()
    logits, _ = model(batch.source, batch.mask, batch.inputs)
    stepper = SearchModel(model)
    _, log_probs, _ = force(stepper, stepper.start(batch.source, batch.mask), batch.inputs)
    assert_close(log_probs, logits.log_softmax(-1))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_selected_rows_go_on_as_if_they_had_been_alone(score: str, cell: str) -> None:
    model = SearchModel(tiny_model(tiny_config(score, decoder={"cell": cell, "layers": 2})))
    batch = sentences()
    state, _, _ = force(model, model.start(batch.source, batch.mask), batch.inputs[:, :2])
    rows = torch.tensor([3, 0, 0, 2])  # reordered, repeated, one dropped
    further = torch.randint(TARGET_SIZE, (4, 2))
    _, log_probs, weights = force(model, model.select(state, rows), further)
    for place, row in enumerate(rows.tolist()):
        length = int(batch.mask[row].sum())
        alone = model.start(batch.source[row : row + 1, :length], batch.mask[row : row + 1, :length])
        history = torch.cat([batch.inputs[row, :2], further[place]]).unsqueeze(0)
        _, expected, expected_weights = force(model, alone, history)
        assert_close(log_probs[place], expected[0, 2:])
        if weights is not None and expected_weights is not None:
            assert_close(weights[place, :, :length], expected_weights[0, 2:])
            assert weights[place, :, length:].abs().sum() == 0


def test_a_step_leaves_the_state_before_it_as_it_was() -> None:
    model, batch = SearchModel(tiny_model(tiny_config(decoder={"layers": 2}))), sentences()
    state = model.start(batch.source, batch.mask)
    first, _, _ = model.step(state, batch.inputs[:, 0])
    again, _, _ = model.step(state, batch.inputs[:, 0])
    assert torch.equal(first, again)


@pytest.mark.parametrize("score", ["additive", "general", "cosine"])
def test_keys_are_made_once_a_sentence(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)), sentences()
    attention = model.decoder.attention
    assert attention is not None
    calls: list[int] = []
    key = attention.get_submodule("key")
    key.register_forward_hook(lambda module, inputs, output: calls.append(1))
    assert isinstance(key, nn.Linear)
    stepper = SearchModel(model)
    force(stepper, stepper.start(batch.source, batch.mask), batch.inputs)
    assert len(calls) == 1
    model(batch.source, batch.mask, batch.inputs)
    assert len(calls) == 2
