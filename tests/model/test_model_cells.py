"""Cells compute the same as the kernels of PyTorch; layer normalisation follows the paper."""

import numpy as np
import pytest
import torch
from model_examples import CELLS, randomize, read_cell
from numpy_reference import State, cell_step
from torch import Tensor

from kotrans.model.cells import CELLS as OWN_CELLS
from kotrans.model.cells import CellState, GRUCell
from kotrans.model.encoder import LibraryRecurrence, LoopedRecurrence, recurrence

INPUT, HIDDEN = 3, 4


def pair_of_recurrences(kind: str) -> tuple[LoopedRecurrence, LibraryRecurrence]:
    """Returns a cell and a kernel with the same weights; the second bias of the kernel is 0 where the cell has none."""
    looped = LoopedRecurrence(kind, INPUT, HIDDEN, layer_norm=False, dropout=0.0).double()
    library = LibraryRecurrence(kind, INPUT, HIDDEN).double()
    randomize(looped)
    kernel = dict(library.kernel.named_parameters())
    with torch.no_grad():
        kernel["weight_ih_l0"].copy_(looped.cell.weight_input)
        kernel["weight_hh_l0"].copy_(looped.cell.weight_hidden)
        kernel["bias_ih_l0"].copy_(looped.cell.bias)
        kernel["bias_hh_l0"].zero_()
        if isinstance(looped.cell, GRUCell):
            kernel["bias_hh_l0"][2 * HIDDEN :] = looped.cell.bias_new
    return looped, library


def leaf(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, dtype=torch.double, generator=generator).requires_grad_()


def run_backward(run: LoopedRecurrence | LibraryRecurrence, kind: str, *, started: bool) -> list[Tensor]:
    """Returns states, last state, and the gradients of inputs and first state for a loss over all states."""
    inputs, hidden, long_term = leaf(2, 5, INPUT), leaf(2, HIDDEN), leaf(2, HIDDEN)
    first = CellState(hidden, long_term if kind == "lstm" else None)
    states, last = run(inputs, first if started else None)
    long_terms = [] if last.long_term is None else [last.long_term]
    loss = sum((x.sin().sum() for x in [last.hidden, *long_terms]), states.square().sum())
    loss.backward()
    gradients = [leaf.grad for leaf in (inputs, hidden, long_term) if leaf.grad is not None]
    return [states, last.hidden, *long_terms, *gradients]


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_a_looped_cell_has_the_values_and_gradients_of_the_library_kernel(kind: str, started: bool) -> None:
    looped, library = pair_of_recurrences(kind)
    ours, theirs = (run_backward(run, kind, started=started) for run in (looped, library))
    assert len(ours) == len(theirs) == 3 + (kind == "lstm") + started * (1 + (kind == "lstm"))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    kernel = {name: parameter.grad for name, parameter in library.kernel.named_parameters()}
    expected = {"weight_input": "weight_ih_l0", "weight_hidden": "weight_hh_l0", "bias": "bias_ih_l0"}
    for ours_name, theirs_name in expected.items():
        torch.testing.assert_close(
            looped.cell.get_parameter(ours_name).grad, kernel[theirs_name], rtol=1e-12, atol=1e-12
        )
    if isinstance(looped.cell, GRUCell):
        bias = kernel["bias_hh_l0"]
        assert bias is not None
        torch.testing.assert_close(looped.cell.bias_new.grad, bias[2 * HIDDEN :], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_step_follows_the_equations(kind: str, layer_norm: bool) -> None:
    recurrent = LoopedRecurrence(kind, INPUT, HIDDEN, layer_norm=layer_norm, dropout=0.0).double()
    randomize(recurrent)
    weights = read_cell({n: p.detach().numpy() for n, p in recurrent.named_parameters()}, "", kind)
    assert (weights.input_norm is not None) == layer_norm
    assert (weights.long_term_norm is not None) == (layer_norm and kind == "lstm")
    x, hidden, long_term = (leaf(2, size).detach() for size in (INPUT, HIDDEN, HIDDEN + 0))
    cell = recurrent.cell
    state = cell(cell.project(x), CellState(hidden, long_term if kind == "lstm" else None))
    for row in range(2):
        expected = cell_step(weights, x[row].numpy(), State(hidden[row].numpy(), long_term[row].numpy()))
        np.testing.assert_allclose(state.hidden[row].detach(), expected.hidden, rtol=1e-12, atol=1e-12)
        if state.long_term is not None:
            np.testing.assert_allclose(state.long_term[row].detach(), expected.long_term, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", CELLS)
def test_with_layer_norm_a_cell_does_not_depend_on_the_scale_of_its_inputs(kind: str) -> None:
    cell = OWN_CELLS[kind](INPUT, HIDDEN, layer_norm=True).double()
    randomize(cell)
    x, state = leaf(2, INPUT) * 1e3, cell.initial(leaf(2, HIDDEN))
    once, thrice = (cell(cell.project(inputs), state).hidden for inputs in (x, 3 * x))
    torch.testing.assert_close(once, thrice, rtol=1e-6, atol=1e-6)


def test_the_library_kernel_is_used_unless_an_option_needs_the_loop() -> None:
    assert isinstance(recurrence("lstm", INPUT, HIDDEN, layer_norm=False, dropout=0.0), LibraryRecurrence)
    assert isinstance(recurrence("lstm", INPUT, HIDDEN, layer_norm=True, dropout=0.0), LoopedRecurrence)
    assert isinstance(recurrence("lstm", INPUT, HIDDEN, layer_norm=False, dropout=0.1), LoopedRecurrence)
