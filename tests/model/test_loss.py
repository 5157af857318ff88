"""The training loss against derived numbers and against torch.nn.functional.cross_entropy."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from kotrans.model.loss import Loss, _sum_of_rows, sequence_loss

PAD = 0


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, 3, 7) and labels (2, 3) of two sentences, the second padded."""
    logits = torch.randn(2, 3, 7, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return logits, torch.tensor([[4, 5, 2], [6, 2, PAD]])


def loss_of(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> Loss:
    """The loss of given logits (B, T, V), by a softmax layer with the identity as weight."""
    identity = nn.Linear(logits.size(-1), logits.size(-1)).to(logits.dtype)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(logits.size(-1)))
        identity.bias.zero_()
    return sequence_loss(logits, identity, labels, pad_id=PAD, smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_uniform_distribution_costs_log_v_per_piece(smoothing: float) -> None:
    _, labels = example()
    loss = loss_of(torch.full((2, 3, 7), 3.0), labels, smoothing)
    torch.testing.assert_close(loss.smoothed / 5, torch.tensor(math.log(7)))
    torch.testing.assert_close(loss.nll / 5, torch.tensor(math.log(7)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothing_spreads_probability_evenly_over_the_vocabulary(smoothing: float) -> None:
    logits, labels = example()
    smoothed, nll = 0.0, 0.0
    for scores, label in zip(logits.flatten(0, 1).tolist(), labels.flatten().tolist(), strict=True):
        if label == PAD:
            continue
        log_total = math.log(sum(math.exp(score) for score in scores))
        nll -= scores[label] - log_total
        for piece, score in enumerate(scores):
            target = smoothing / len(scores) + (1 - smoothing) * (piece == label)
            smoothed -= target * (score - log_total)
    loss = loss_of(logits, labels, smoothing)
    assert loss.smoothed.item() == pytest.approx(smoothed, rel=1e-12)
    assert loss.nll.item() == pytest.approx(nll, rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_value_and_gradient_are_those_of_cross_entropy(smoothing: float) -> None:
    logits, labels = example()
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    loss = loss_of(ours, labels, smoothing).smoothed
    expected = functional.cross_entropy(
        theirs.flatten(0, 1), labels.flatten(), ignore_index=PAD, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_has_no_loss_and_no_gradient(smoothing: float) -> None:
    logits, labels = example()
    loud = logits.clone()
    loud[1, 2] = 1e4
    loud.requires_grad_()
    loss = loss_of(loud, labels, smoothing)
    quiet = loss_of(logits, labels, smoothing)
    assert torch.equal(loss.smoothed, quiet.smoothed)
    assert torch.equal(loss.nll, quiet.nll)
    loss.smoothed.backward()
    assert loud.grad is not None
    assert loud.grad[1, 2].abs().max() == 0
    assert loud.grad[labels != PAD].abs().min() > 0


def test_the_losses_of_two_batches_add_up_to_that_of_both() -> None:
    logits, labels = example()
    whole = loss_of(logits, labels, 0.1)
    parts = [loss_of(logits[i : i + 1], labels[i : i + 1], 0.1) for i in range(2)]
    torch.testing.assert_close(parts[0].smoothed + parts[1].smoothed, whole.smoothed)
    torch.testing.assert_close(parts[0].nll + parts[1].nll, whole.nll)


def test_the_loss_of_bfloat16_logits_is_summed_in_float32() -> None:
    loss = loss_of(torch.zeros(1, 3000, 7, dtype=torch.bfloat16), torch.ones(1, 3000, dtype=torch.long), 0.1)
    assert loss.smoothed.dtype == loss.nll.dtype == torch.float32
    assert loss.nll.item() == pytest.approx(3000 * math.log(7), rel=1e-5)
    assert loss.smoothed.item() == pytest.approx(3000 * math.log(7), rel=1e-3)


@pytest.mark.parametrize("rows", [1, 2, 4, 5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_chunks_of_any_size_have_the_loss_and_gradients_of_cross_entropy(rows: int, smoothing: float) -> None:
    torch.manual_seed(0)
    _, labels = example()
    output = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    softmax = nn.Linear(4, 7).double()
    inputs = (output, softmax.weight, softmax.bias)
    ours = sequence_loss(output, softmax, labels, pad_id=PAD, smoothing=smoothing, chunk=rows * 7 + 6)
    expected = functional.cross_entropy(
        softmax(output).flatten(0, 1), labels.flatten(), ignore_index=PAD, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(ours.smoothed, expected, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad(0.3 * loss, inputs) for loss in (ours.smoothed, expected))
    for gradient, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-12, atol=1e-12)


def test_no_tensor_is_larger_than_a_chunk() -> None:
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            sizes.append(result.numel() if isinstance(result, torch.Tensor) else 0)
            return result

    output, softmax = torch.randn(4, 50, 3, requires_grad=True), nn.Linear(3, 100)
    with Sizes():  # type: ignore[no-untyped-call]
        sequence_loss(output, softmax, torch.ones(4, 50, dtype=torch.long), pad_id=PAD, smoothing=0.1, chunk=1000)
    assert 0 < max(sizes) <= 1000


def test_a_sum_of_bfloat16_numbers_is_more_precise_than_bfloat16() -> None:
    numbers = torch.rand(64, 4001, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = numbers.double().sum(1, keepdim=True)
    error = (_sum_of_rows(numbers, torch.float32) / exact - 1).abs()
    assert error.max() < 2**-10
    assert torch.equal(_sum_of_rows(numbers.double(), torch.double), exact)
