"""The training loss: cross-entropy of the next piece with label smoothing, summed.

Shape key: B sentences, T target steps, O width of the deep output, V target pieces, N rows (B*T), C rows of a chunk.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from kotrans.model.kernels.products import ROWS, filled_up
from kotrans.model.lexical import LexicalSoftmax
from kotrans.model.seq2seq import Seq2Seq

_CHUNK = 2**21  # scores made at a time: 8 MB in float32, near enough to the core to be passed over quickly
_PARTS = 16  # that a sum of bfloat16 numbers is rounded in: their errors partly cancel


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


def sequence_loss(
    output: Tensor, softmax: nn.Linear | LexicalSoftmax, labels: Tensor, *, pad_id: int, smoothing: float
) -> Loss:
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
            filled = filled_up(output)
            labels = functional.pad(labels, (0, len(filled) - len(output)), value=pad_id)
            chunks = _Chunks(filled, weight, bias, labels, labels != pad_id, smoothing)
            for start in range(0, len(labels), chunks.size):
                rows = slice(start, start + chunks.size)
                surplus, total = chunks.add(rows)
                if backward:
                    chunks.add_gradients(rows, surplus, total)
        smoothed, nll = chunks.smoothed, chunks.nll
        ctx.mark_non_differentiable(nll)
        ctx.gradients = chunks.gradients(len(output)) if backward else ()
        return smoothed, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return (*(gradient * grad for gradient in ctx.gradients), None, None, None, None)


class _Chunks:
    """The sums and their gradients (as long as the smoothed one counts 1), chunk by chunk.

    A chunk (C, V) is passed over as seldom as can be. Smoothing adds the same for every piece, so that its share comes
    from the mean weight, and padding is taken out of the narrow factors (C, O).
    """

    def __init__(
        self, output: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, real: Tensor, smoothing: float
    ) -> None:
        """output (N, O), weight (V, O), bias (V,), labels (N,) and real (N,), false at padding."""
        self.precision = torch.promote_types(output.dtype, torch.float32)
        self.output, self.weight, self.bias = output, weight.to(output.dtype), bias.to(output.dtype)
        self.labels, self.real, self.smoothing = labels.unsqueeze(1), real.unsqueeze(1).to(output.dtype), smoothing
        size = max(1, _CHUNK // len(weight))
        self.size = size - size % ROWS if size > ROWS else size
        self.mean_weight = weight.mean(0, dtype=self.precision).unsqueeze(1)  # (O, 1)
        self.mean_bias = bias.mean(dtype=self.precision)
        self.smoothed, self.nll = torch.zeros(2, dtype=self.precision, device=output.device).unbind()
        self.grad_output = torch.empty_like(output)
        self.grad_weight = torch.zeros_like(weight, dtype=self.precision)
        self.grad_bias = torch.zeros_like(bias, dtype=self.precision)

    def add(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Adds the losses of some rows.

        Returns surplus (C, V) and total (C, 1): surplus / total is the probabilities, less what the label's should be.
        """
        output, labels, real = self.output[rows], self.labels[rows], self.real[rows]
        scores = torch.addmm(self.bias, output, self.weight.t())  # (C, V)
        scored, highest = scores.gather(1, labels), scores.amax(1, keepdim=True)  # (C, 1)
        powers = scores.sub_(highest).exp_()  # (C, V) the library's softmax takes several times as long
        total = _sum_of_rows(powers, self.precision)  # (C, 1)
        log_total = highest + total.log()
        uniform = log_total - output.to(self.precision) @ self.mean_weight - self.mean_bias  # (C, 1)
        nll = log_total - scored
        self.nll += (nll * real).sum()
        self.smoothed += (((1 - self.smoothing) * nll + self.smoothing * uniform) * real).sum()
        surplus = powers.gather(1, labels) + (self.smoothing - 1) * total  # (C, 1) of the labels
        each = torch.arange(len(powers), device=powers.device)
        # In bfloat16 scatter_ would copy all of the scores twice.
        return powers.index_put_((each, labels.squeeze(1)), surplus.to(powers.dtype).squeeze(1)), total

    def add_gradients(self, rows: slice, surplus: Tensor, total: Tensor) -> None:
        """Adds the gradients of some rows."""
        counts = (self.real[rows] / total).to(surplus.dtype)  # (C, 1)
        torch.mul(surplus @ self.weight, counts, out=self.grad_output[rows])
        self.grad_weight += surplus.t() @ (self.output[rows] * counts)
        self.grad_bias += (counts.t() @ surplus).squeeze(0)

    def gradients(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of the first rows of output, of weight and bias, what smoothing takes from every piece taken off."""
        share = self.smoothing / len(self.weight)
        uniform = (self.smoothing * self.mean_weight).to(self.output.dtype).t()  # (1, O)
        self.grad_weight -= share * (self.output * self.real).sum(0, dtype=self.precision)
        self.grad_bias -= share * self.real.sum(dtype=self.precision)
        return (self.grad_output - uniform * self.real)[:rows], self.grad_weight, self.grad_bias


def _sum_of_rows(powers: Tensor, precision: torch.dtype) -> Tensor:
    """(C, 1) of powers (C, V). In bfloat16 in parts: the library adds each up in float32, and rounds it only then."""
    if powers.dtype == precision:
        return powers.sum(1, keepdim=True)
    parts = [part.sum(1) for part in powers.chunk(_PARTS, dim=1)]  # asked for a float32 sum it would copy them all
    return torch.stack(parts, dim=1).sum(1, keepdim=True, dtype=precision)
