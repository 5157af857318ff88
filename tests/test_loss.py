"""The training loss: numbers that can be derived, and the library's own loss."""

import math

import pytest
import torch
from torch.nn import functional

from kotrans.loss import sequence_loss

PAD = 0


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, 3, 7) and labels (2, 3) of two sentences, the second padded."""
    logits = torch.randn(2, 3, 7, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return logits, torch.tensor([[4, 5, 2], [6, 2, PAD]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_uniform_guess_costs_log_v_a_piece(smoothing: float) -> None:
    _, labels = example()
    loss = sequence_loss(torch.full((2, 3, 7), 3.0), labels, pad_id=PAD, smoothing=smoothing)
    torch.testing.assert_close(loss.smoothed / 5, torch.tensor(math.log(7)))
    torch.testing.assert_close(loss.nll / 5, torch.tensor(math.log(7)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothing_gives_every_piece_its_share_of_the_probability(smoothing: float) -> None:
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
    loss = sequence_loss(logits, labels, pad_id=PAD, smoothing=smoothing)
    assert loss.smoothed.item() == pytest.approx(smoothed, rel=1e-12)
    assert loss.nll.item() == pytest.approx(nll, rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_it_is_the_cross_entropy_of_the_library_in_value_and_gradient(smoothing: float) -> None:
    logits, labels = example()
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    loss = sequence_loss(ours, labels, pad_id=PAD, smoothing=smoothing).smoothed
    expected = functional.cross_entropy(
        theirs.flatten(0, 1), labels.flatten(), ignore_index=PAD, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_costs_nothing_and_gets_no_gradient(smoothing: float) -> None:
    logits, labels = example()
    loud = logits.clone()
    loud[1, 2] = 1e4
    loud.requires_grad_()
    loss = sequence_loss(loud, labels, pad_id=PAD, smoothing=smoothing)
    quiet = sequence_loss(logits, labels, pad_id=PAD, smoothing=smoothing)
    assert torch.equal(loss.smoothed, quiet.smoothed)
    assert torch.equal(loss.nll, quiet.nll)
    loss.smoothed.backward()
    assert loud.grad is not None
    assert loud.grad[1, 2].abs().max() == 0
    assert loud.grad[labels != PAD].abs().min() > 0


def test_sums_of_parts_are_the_sum_of_the_whole() -> None:
    logits, labels = example()
    whole = sequence_loss(logits, labels, pad_id=PAD, smoothing=0.1)
    parts = [sequence_loss(logits[i : i + 1], labels[i : i + 1], pad_id=PAD, smoothing=0.1) for i in range(2)]
    torch.testing.assert_close(parts[0].smoothed + parts[1].smoothed, whole.smoothed)
    torch.testing.assert_close(parts[0].nll + parts[1].nll, whole.nll)


def test_the_loss_of_half_precision_logits_is_summed_in_full_precision() -> None:
    logits, labels = example()
    half = logits.bfloat16()
    loss = sequence_loss(half, labels, pad_id=PAD, smoothing=0.1)
    expected = sequence_loss(half.float(), labels, pad_id=PAD, smoothing=0.1)
    assert loss.smoothed.dtype == torch.float32
    assert torch.equal(loss.smoothed, expected.smoothed)
