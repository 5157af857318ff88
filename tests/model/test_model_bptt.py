"""The pass written by hand is the plain one: the same values and the same gradients, in float64."""

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

from kotrans.model.attention import SHORTEST
from kotrans.model.seq2seq import Seq2Seq


class Pass(NamedTuple):
    """What a model gives, and the gradients of a random sum of it."""

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
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_values_and_gradients_are_those_of_the_plain_steps(score: str, cell: str, recurrent_dropout: float) -> None:
    config = tiny_config(score, decoder={"cell": cell, "layers": 2}, dropout={"recurrent": recurrent_dropout})
    assert_the_same(tiny_model(config).train(), sentences())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", ["additive", "none"])
def test_layer_normalisation_has_the_values_and_gradients_of_the_plain_steps(score: str, cell: str) -> None:
    sections = {"cell": cell, "layer_norm": True, "layers": 2}
    config = tiny_config(score, encoder=sections, decoder=sections, dropout={"recurrent": 0.4})
    assert_the_same(tiny_model(config).train(), sentences())


@given(st.data())
def test_any_lengths_and_any_padding_give_the_values_and_gradients_of_the_plain_steps(data: st.DataObject) -> None:
    score, cell = data.draw(st.sampled_from(sorted(SCORES))), data.draw(st.sampled_from(CELLS))
    lengths = data.draw(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 6)), min_size=1, max_size=5))
    source_lengths, target_lengths = zip(*lengths, strict=True)
    model = tiny_model(tiny_config(score, decoder={"cell": cell}))
    assert_the_same(model, sentences(source_lengths, target_lengths, seed=data.draw(st.integers(0, 99))))


def test_a_state_shorter_than_the_shortest_has_the_gradient_of_the_plain_steps() -> None:
    model = tiny_model(tiny_config("cosine", decoder={"cell": "rnn"}))
    with torch.no_grad():
        for name, parameter in model.decoder.named_parameters():
            if name.startswith(("bridges", "cell")):
                parameter.mul_(SHORTEST / 100)
    assert_the_same(model, sentences())


def test_nothing_of_a_pass_is_kept_once_its_result_is_gone() -> None:
    model, batch = tiny_model(tiny_config()), sentences()
    output, _ = model.output(batch.source, batch.mask, batch.inputs)
    steps = [node for node in ancestors(output.grad_fn) if hasattr(node, "steps")]
    assert len(steps) == 1
    kept = weakref.ref(steps.pop().steps)
    gc.disable()  # what only the collector finds would pile up until it comes
    try:
        output.sum().backward()
        del output, _
        assert kept() is None
    finally:
        gc.enable()


def ancestors(node: Any) -> Iterator[Any]:
    """The nodes of the graph that lead to one."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [before for before, _ in node.next_functions]
