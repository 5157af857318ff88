"""Padding and other sentences of the batch never change the results of a sentence, forward and backward."""

from dataclasses import replace

import pytest
import torch
from model_examples import (
    ENCODERS,
    PAD,
    SCORES,
    SOURCE_SIZE,
    TARGET_SIZE,
    Sentences,
    sentences,
    tiny_config,
    tiny_model,
)
from torch import Tensor

from kotrans.model.loss import sequence_loss
from kotrans.model.seq2seq import Seq2Seq

pytestmark = pytest.mark.slow

ENCODERS_AND_SCORES = [(*encoder, score) for encoder in ENCODERS for score in SCORES]


def model_of(cell: str, bidirectional: bool, score: str) -> Seq2Seq:
    return tiny_model(tiny_config(score, encoder={"cell": cell, "bidirectional": bidirectional, "layers": 2}))


def run(model: Seq2Seq, batch: Sentences) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """Returns logits, weights and the gradients of the summed loss."""
    model.zero_grad()
    output, weights = model.output(batch.source, batch.mask, batch.inputs)
    sequence_loss(output, model.softmax, batch.labels, pad_id=PAD, smoothing=0.1).smoothed.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return model.softmax(output).detach(), weights, gradients


def pad(batch: Sentences, source: int, target: int) -> Sentences:
    """Returns the batch with `source` and `target` more columns of padding."""
    size = len(batch.source)
    source_pad, target_pad = torch.full((size, source), PAD), torch.full((size, target), PAD)
    return Sentences(
        torch.cat([batch.source, source_pad], dim=1),
        torch.cat([batch.mask, source_pad != PAD], dim=1),
        torch.cat([batch.inputs, target_pad], dim=1),
        torch.cat([batch.labels, target_pad], dim=1),
    )


def assert_close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("cell", "bidirectional", "score"), ENCODERS_AND_SCORES)
def test_a_batch_has_the_results_of_its_sentences_alone(cell: str, bidirectional: bool, score: str) -> None:
    model, batch = model_of(cell, bidirectional, score), sentences()
    logits, weights, gradients = run(model, batch)
    total = {name: torch.zeros_like(gradient) for name, gradient in gradients.items()}
    for index in range(len(batch.source)):
        alone = batch.row(index)
        (steps, length), position = alone.inputs.shape[1:] + alone.source.shape[1:], slice(index, index + 1)
        alone_logits, alone_weights, alone_gradients = run(model, alone)
        assert_close(logits[position, :steps], alone_logits)
        if weights is not None and alone_weights is not None:
            assert_close(weights[position, :steps, :length], alone_weights)
        for name, gradient in alone_gradients.items():
            total[name] += gradient
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, total[name], rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize(("cell", "bidirectional", "score"), ENCODERS_AND_SCORES)
def test_more_padding_changes_nothing(cell: str, bidirectional: bool, score: str) -> None:
    model, batch = model_of(cell, bidirectional, score), sentences()
    logits, weights, gradients = run(model, batch)
    padded_logits, padded_weights, padded_gradients = run(model, pad(batch, source=2, target=3))
    steps, length = batch.inputs.size(1), batch.source.size(1)
    assert_close(padded_logits[:, :steps], logits)
    if weights is not None and padded_weights is not None:
        assert_close(padded_weights[:, :steps, :length], weights)
    for name, gradient in gradients.items():
        torch.testing.assert_close(padded_gradients[name], gradient, rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize(("cell", "bidirectional", "score"), ENCODERS_AND_SCORES)
def test_the_content_of_padding_changes_no_bit(cell: str, bidirectional: bool, score: str) -> None:
    model, batch = model_of(cell, bidirectional, score), sentences()
    noise = replace(
        batch,
        source=torch.where(batch.mask, batch.source, torch.randint(SOURCE_SIZE, batch.source.shape)),
        inputs=torch.where(batch.labels != PAD, batch.inputs, torch.randint(TARGET_SIZE, batch.inputs.shape)),
    )
    assert not torch.equal(noise.source, batch.source)
    logits, weights, gradients = run(model, batch)
    noisy_logits, noisy_weights, noisy_gradients = run(model, noise)
    real = batch.labels != PAD
    assert torch.equal(noisy_logits[real], logits[real])
    if weights is not None and noisy_weights is not None:
        assert torch.equal(noisy_weights[real], weights[real])
    for name, gradient in gradients.items():
        assert torch.equal(noisy_gradients[name], gradient), name


@pytest.mark.parametrize(("cell", "bidirectional", "score"), ENCODERS_AND_SCORES)
def test_the_content_of_other_sentences_changes_no_bit(cell: str, bidirectional: bool, score: str) -> None:
    model, batch, others = model_of(cell, bidirectional, score), sentences(), sentences((2, 5, 4, 3), seed=1)
    mixed = Sentences(
        *(
            torch.cat([a[:1].expand_as(b[:1]), b[1:]])
            for a, b in zip(vars(batch).values(), vars(others).values(), strict=True)
        )
    )
    logits, weights, _ = run(model, batch)
    mixed_logits, mixed_weights, _ = run(model, mixed)
    assert torch.equal(mixed_logits[0], logits[0])
    assert not torch.equal(mixed_logits[1], logits[1])
    if weights is not None and mixed_weights is not None:
        assert torch.equal(mixed_weights[0], weights[0])


@pytest.mark.parametrize(("cell", "bidirectional", "score"), ENCODERS_AND_SCORES)
def test_padding_gets_no_gradient(cell: str, bidirectional: bool, score: str) -> None:
    model = model_of(cell, bidirectional, score)
    _, _, gradients = run(model, pad(sentences(), source=1, target=1))
    for side in ("source", "target"):
        gradient = gradients[f"{side}_embedding.weight"]
        assert gradient[PAD].abs().sum() == 0
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("score", [score for score in SCORES if score != "none"])
def test_weights_sum_to_one_and_are_zero_on_padding(score: str) -> None:
    model, batch = tiny_model(tiny_config(score)), sentences()
    _, weights, _ = run(model, batch)
    assert weights is not None
    real = batch.mask.unsqueeze(1).expand_as(weights)
    assert_close(weights.sum(-1), torch.ones(batch.inputs.shape, dtype=torch.double))
    assert weights[~real].abs().sum() == 0
    assert weights[real].min() > 0
