"""The hand-written backward pass has the values and gradients of autograd, in float64."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_examples import CELLS, SCORES, Sentences, sentences, tiny_config, tiny_model
from torch import Tensor

from kotrans.model.seq2seq import Seq2Seq

HAND_WRITTEN = ("additive", "additive and lexical", "general", "scaled general", "dot", "scaled dot", "none")


class Pass(NamedTuple):
    """Outputs of a model, and the gradients of a random weighted sum of them."""

    output: Tensor
    weights: Tensor | None
    gradients: dict[str, Tensor]


def passed(model: Seq2Seq, batch: Sentences, *, plain: bool, seed: int = 0) -> Pass:
    model.train_by_plain_steps(plain)
    model.zero_grad()
    torch.manual_seed(seed)  # dropout
    output, weights = model.output(batch.source, batch.mask, batch.inputs)
    generator, total = torch.Generator().manual_seed(seed), torch.zeros((), dtype=torch.double)
    for part in (output,) if weights is None else (output, weights):
        total = total + (part * torch.randn(part.shape, generator=generator, dtype=part.dtype)).sum()
    total.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return Pass(output.detach(), weights, gradients)


def assert_the_same(model: Seq2Seq, batch: Sentences) -> None:
    plain, by_hand = (passed(model, batch, plain=plain) for plain in (True, False))
    torch.testing.assert_close(by_hand.output, plain.output, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(by_hand.weights, plain.weights, rtol=1e-11, atol=1e-12)
    assert by_hand.gradients.keys() == plain.gradients.keys()
    for name, gradient in plain.gradients.items():
        largest = float(gradient.abs().max())
        torch.testing.assert_close(by_hand.gradients[name], gradient, rtol=1e-9, atol=1e-11 * (1 + largest), msg=name)


@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.4])
@pytest.mark.parametrize("score", HAND_WRITTEN)
def test_values_and_gradients_are_those_of_autograd(score: str, recurrent_dropout: float) -> None:
    config = tiny_config(score, decoder={"layers": 2}, dropout={"recurrent": recurrent_dropout})
    assert_the_same(tiny_model(config).train(), sentences())


@pytest.mark.parametrize("score", HAND_WRITTEN)
def test_with_layer_normalisation_values_and_gradients_are_those_of_autograd(score: str) -> None:
    sections = {"layer_norm": True, "layers": 2}
    config = tiny_config(score, encoder=sections, decoder=sections, dropout={"recurrent": 0.4})
    assert_the_same(tiny_model(config).train(), sentences())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_other_cells_and_scores_are_trained_by_autograd(score: str, cell: str) -> None:
    model, batch = tiny_model(tiny_config(score, decoder={"cell": cell})), sentences()
    output, _ = model.output(batch.source, batch.mask, batch.inputs)
    expected = cell == "lstm" and score in HAND_WRITTEN
    assert len(hand_written(output)) == expected
    model.train_by_plain_steps(True)
    output, _ = model.output(batch.source, batch.mask, batch.inputs)
    assert not hand_written(output)


@pytest.mark.slow
@given(st.data())
def test_for_any_lengths_and_padding_values_and_gradients_are_those_of_autograd(data: st.DataObject) -> None:
    score = data.draw(st.sampled_from(HAND_WRITTEN))
    lengths = data.draw(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 6)), min_size=1, max_size=5))
    source_lengths, target_lengths = zip(*lengths, strict=True)
    model = tiny_model(tiny_config(score))
    assert_the_same(model, sentences(source_lengths, target_lengths, seed=data.draw(st.integers(0, 99))))


def test_the_buffers_of_a_pass_are_freed_with_its_output() -> None:
    model, batch = tiny_model(tiny_config()), sentences()
    output, _ = model.output(batch.source, batch.mask, batch.inputs)
    kept = weakref.ref(hand_written(output).pop().lstm)
    gc.disable()  # reference cycles would keep the memory until the collector runs
    try:
        output.sum().backward()
        del output, _
        assert kept() is None
    finally:
        gc.enable()


def hand_written(output: Tensor) -> list[Any]:
    """The nodes of hand-written backward passes in the graph of a tensor."""
    return [node for node in ancestors(output.grad_fn) if hasattr(node, "lstm")]


def ancestors(node: Any) -> Iterator[Any]:
    """The nodes of a graph from which this node is reached."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [before for before, _ in node.next_functions]
