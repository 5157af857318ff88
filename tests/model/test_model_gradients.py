"""Gradients agree with finite differences of the forward pass, in float64."""

from collections.abc import Callable

import pytest
import torch
from model_examples import CELLS, ENCODERS, PAD, SCORES, randomize, sentences, tiny_config, tiny_model
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from kotrans.model.attention import Attention
from kotrans.model.cells import CELLS as OWN_CELLS
from kotrans.model.cells import CellState
from kotrans.model.loss import sequence_loss, training_loss

pytestmark = pytest.mark.slow


def check_parameters_and_inputs(
    module: nn.Module, run: Callable[..., tuple[Tensor, ...]], *inputs: Tensor, fast: bool = False
) -> None:
    """Runs gradcheck on run(*inputs), which calls the module, for the inputs and every parameter."""
    names = [name for name, _ in module.named_parameters()]
    parameters = [parameter.detach().clone().requires_grad_() for parameter in module.parameters()]

    def of_everything(*tensors: Tensor) -> tuple[Tensor, ...]:
        here = dict(zip(names, tensors, strict=False))
        return functional_call(
            Runner(module, run), {f"module.{name}": value for name, value in here.items()}, tensors[len(names) :]
        )

    assert gradcheck(of_everything, (*parameters, *(i.requires_grad_() for i in inputs)), fast_mode=fast)


class Runner(nn.Module):
    """Makes a function that calls a module callable with other parameters of the module."""

    def __init__(self, module: nn.Module, run: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.module, self.run = module, run

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.run(*inputs)


@pytest.mark.parametrize("score", [score for score in SCORES if score != "none"])
def test_attention_has_the_right_gradients(score: str) -> None:
    model = tiny_model(tiny_config(score))
    attention = model.decoder.attention
    assert isinstance(attention, Attention)
    mask = torch.tensor([[True, True, True], [True, True, False]])

    def attend(query: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        return attention(query, attention.keys(memory), memory, mask)

    query_size = model.decoder.cell.hidden_size
    query, memory = torch.randn(2, 2, query_size, dtype=torch.double), torch.randn(2, 3, 6, dtype=torch.double)
    check_parameters_and_inputs(attention, attend, query, memory)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_has_the_right_gradients_over_two_steps(kind: str, layer_norm: bool) -> None:
    cell = OWN_CELLS[kind](3, 4, layer_norm=layer_norm).double()
    randomize(cell)

    def two_steps(inputs: Tensor, hidden: Tensor, long_term: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        state = CellState(hidden, long_term if kind == "lstm" else None)
        for x in inputs.unbind(0):
            state = cell(cell.project(x), state, mask)
        return (state.hidden,) if state.long_term is None else (state.hidden, state.long_term)

    shapes = [(2, 2, 3), (2, 4), (2, 4), (2, 4)]
    check_parameters_and_inputs(cell, two_steps, *(torch.randn(shape, dtype=torch.double) for shape in shapes))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_has_the_right_gradients(smoothing: float) -> None:
    output, softmax = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True), nn.Linear(4, 5).double()
    labels = torch.tensor([[3, 4, 1], [2, PAD, PAD]])

    def loss(output: Tensor, *weights: Tensor) -> Tensor:
        return sequence_loss(output, softmax, labels, pad_id=PAD, smoothing=smoothing).smoothed

    assert gradcheck(loss, (output, *softmax.parameters()))


def check_model(score: str, encoder: dict[str, object], decoder: dict[str, object]) -> None:
    model = tiny_model(tiny_config(score, encoder=encoder, decoder=decoder))
    batch = sentences((3, 2), (2, 3))

    def loss() -> tuple[Tensor, ...]:
        batch_loss = training_loss(
            model, batch.source, batch.mask, batch.inputs, batch.labels, pad_id=PAD, smoothing=0.1
        )
        return (batch_loss.smoothed,)

    check_parameters_and_inputs(model, loss, fast=True)


@pytest.mark.parametrize("decoder", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_a_whole_model_has_the_right_gradients_for_every_score_and_decoder(score: str, decoder: str) -> None:
    check_model(score, {"cell": "lstm"}, {"cell": decoder, "layers": 2})


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("cell", "bidirectional"), ENCODERS)
def test_a_whole_model_has_the_right_gradients_for_every_encoder(
    cell: str, bidirectional: bool, layer_norm: bool
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "layers": 2, "layer_norm": layer_norm}
    check_model("additive", encoder, {"cell": cell, "layer_norm": layer_norm})
