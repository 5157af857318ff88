"""The training loss: cross-entropy of the next piece with label smoothing, summed.

Shape key: B sentences, T target steps, O width of the deep output, V target pieces, N rows (B*T), C rows of a chunk.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kotrans.model.seq2seq import Seq2Seq

_CHUNK = 2**22  # scores made at a time: 16 MB in float32, which a large vocabulary would pass many times over


class Loss(NamedTuple):
    """Sums over the real pieces of a batch; the caller divides, so that averages over batches stay exact."""

    smoothed: Tensor  # what is minimised
    nll: Tensor  # negative log-likelihood, without smoothing: perplexity is exp(nll / pieces)


class TrainingLoss(nn.Module):
    """The loss of a batch under teacher forcing."""

    def __init__(self, model: Seq2Seq, *, pad_id: int, smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.pad_id = pad_id
        self.smoothing = smoothing

    def forward(self, source: Tensor, mask: Tensor, inputs: Tensor, labels: Tensor) -> Loss:
        """source and mask (B, S), inputs and labels (B, T), as in `Seq2Seq.forward` and `sequence_loss`."""
        output, _ = self.model.output(source, mask, inputs)  # (B, T, O)
        return sequence_loss(output, self.model.softmax, labels, pad_id=self.pad_id, smoothing=self.smoothing)


def sequence_loss(output: Tensor, softmax: nn.Linear, labels: Tensor, *, pad_id: int, smoothing: float) -> Loss:
    """Sums over labels (B, T) that are not padding, of the scores that softmax gives to output (B, T, O).

    The label's probability is 1 - smoothing, and smoothing is spread evenly over the vocabulary
    (Szegedy et al. 2016, section 7). Scores (B, T, V) are never there as a whole: each chunk of rows gives its part of
    the loss and of the gradients and is gone. Only `smoothed` has a gradient.
    """
    smoothed, nll = _SoftmaxLoss.apply(  # type: ignore[no-untyped-call]
        output.flatten(0, 1), softmax.weight, softmax.bias, labels.flatten(), pad_id, smoothing, torch.is_grad_enabled()
    )
    return Loss(smoothed, nll)


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, output: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, pad_id: int, smoothing: float,
        backward: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        with torch.autocast(output.device.type, enabled=False):
            chunks = _Chunks(output, weight, bias, smoothing, backward=backward)
            for start in range(0, len(labels), chunks.rows):
                chunk = labels[start : start + chunks.rows]
                chunks.add(slice(start, start + len(chunk)), chunk, chunk != pad_id)
        ctx.mark_non_differentiable(chunks.nll)
        ctx.gradients = chunks.gradients
        return chunks.smoothed, chunks.nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return (*(gradient * grad for gradient in ctx.gradients), None, None, None, None)


class _Chunks:
    """The sums, and their gradients (as long as the smoothed one counts 1), chunk by chunk."""

    def __init__(self, output: Tensor, weight: Tensor, bias: Tensor, smoothing: float, *, backward: bool) -> None:
        """output (N, O), weight (V, O), bias (V,)."""
        self.output, self.smoothing = output, smoothing
        self.weight, self.bias = weight.to(output.dtype), bias.to(output.dtype)
        self.rows = max(1, _CHUNK // len(weight))
        self.precision = torch.promote_types(output.dtype, torch.float32)
        self.smoothed, self.nll = torch.zeros(2, dtype=self.precision, device=output.device).unbind()
        sizes = (output.shape, weight.shape, bias.shape) if backward else ()
        self.gradients = tuple(torch.zeros(size, dtype=self.precision, device=output.device) for size in sizes)

    def add(self, rows: slice, labels: Tensor, real: Tensor) -> None:
        """labels (C,) of some rows of the output, and which of them are real (C,)."""
        output, labels = self.output[rows], labels.unsqueeze(1)
        log_probs = torch.addmm(self.bias, output, self.weight.t()).log_softmax(1, dtype=self.precision)  # (C, V)
        nll = -log_probs.gather(1, labels).squeeze(1).masked_fill(~real, 0).sum()
        self.nll += nll
        self.smoothed += (1 - self.smoothing) * nll
        if self.smoothing > 0:
            self.smoothed -= self.smoothing * log_probs.mean(1).masked_fill(~real, 0).sum()
        if self.gradients:
            self._add_gradients(rows, self._grad_scores(log_probs, labels, real))

    def _grad_scores(self, log_probs: Tensor, labels: Tensor, real: Tensor) -> Tensor:
        """The probabilities (C, V) less what they should be; written over log_probs."""
        counts = real.unsqueeze(1).to(self.precision)  # (C, 1) 1 or 0
        share = self.smoothing / log_probs.size(1)
        grad = torch.addcmul(-share * counts, log_probs.exp_(), counts, out=log_probs)
        return grad.scatter_add_(1, labels, (self.smoothing - 1) * counts).to(self.output.dtype)

    def _add_gradients(self, rows: slice, grad_scores: Tensor) -> None:
        grad_output, grad_weight, grad_bias = self.gradients
        grad_output[rows] = grad_scores @ self.weight
        grad_weight += grad_scores.t() @ self.output[rows]
        grad_bias += grad_scores.sum(0, dtype=self.precision)
