"""Training loss: cross-entropy of the next piece with label smoothing, summed over a batch.

Shape key: B sentences, S source positions, T target steps, O width of the softmax input, V target pieces, N rows (B*T),
C rows of a chunk.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from kotrans.model.kernels.products import ROWS_MULTIPLE, pad_rows
from kotrans.model.lexical import LexicalSoftmax
from kotrans.model.seq2seq import Seq2Seq

_CHUNK = 2**21  # logits computed at a time: 8 MB in float32
_PARTS = 16  # partial sums of bfloat16 numbers, whose rounding errors partly cancel


class Loss(NamedTuple):
    """Sums over the real pieces of a batch; the caller divides, so that averages over batches are exact."""

    smoothed: Tensor  # scalar, minimised
    nll: Tensor  # scalar, negative log-likelihood without smoothing: perplexity is exp(nll / pieces)


def training_loss(
    model: Seq2Seq, source: Tensor, mask: Tensor, inputs: Tensor, labels: Tensor, *, pad_id: int, smoothing: float
) -> Loss:
    """Returns the loss of a batch under teacher forcing: `Seq2Seq.output`, then `sequence_loss`.

    source and mask (B, S), inputs and labels (B, T).
    """
    output, _ = model.output(source, mask, inputs)  # (B, T, O)
    return sequence_loss(output, model.softmax, labels, pad_id=pad_id, smoothing=smoothing)


def sequence_loss(
    output: Tensor, softmax: nn.Linear | LexicalSoftmax, labels: Tensor, *, pad_id: int, smoothing: float,
    chunk: int = _CHUNK,
) -> Loss:  # fmt: skip
    """Returns the loss of the logits that `softmax` computes from output (B, T, O), for labels (B, T).

    Equation, with ε the label smoothing (Szegedy et al. 2016, section 7), summed over real pieces:
        loss = -Σ_i ((1 - ε) log p(y_i | y_<i, x) + ε / V Σ_v log p(v | y_<i, x))

    At most `chunk` logits are in memory at a time, as long as a row is not longer: gradients are computed
    in the forward pass, chunk by chunk. Only `smoothed` has a gradient.
    """
    smoothed, nll = _SoftmaxLoss.apply(  # type: ignore[no-untyped-call]
        output.flatten(0, 1), softmax.weight, softmax.bias, labels.flatten(), pad_id, smoothing, chunk,
        torch.is_grad_enabled(),
    )  # fmt: skip
    return Loss(smoothed, nll)


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, output: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, pad_id: int, smoothing: float,
        chunk: int, backward: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        with torch.autocast(output.device.type, enabled=False):
            padded = pad_rows(output)
            labels = functional.pad(labels, (0, len(padded) - len(output)), value=pad_id)
            chunks = _Chunks(padded, weight, bias, labels, labels != pad_id, smoothing, chunk)
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
        return (*(gradient * grad for gradient in ctx.gradients), None, None, None, None, None)


class _Chunks:
    """Losses and gradients of the smoothed loss, summed chunk by chunk.

    Passes over a chunk (C, V) are kept few: smoothing adds the same to every piece, so that its share is computed from
    the mean weight, and padding is removed from the narrow factors (C, O).
    """

    def __init__(
        self, output: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, real: Tensor, smoothing: float, chunk: int
    ) -> None:
        """output (N, O), weight (V, O), bias (V,), labels (N,), real (N,) false on padding."""
        self.precision = torch.promote_types(output.dtype, torch.float32)
        self.output, self.weight, self.bias = output, weight.to(output.dtype), bias.to(output.dtype)
        self.labels, self.real, self.smoothing = labels.unsqueeze(1), real.unsqueeze(1).to(output.dtype), smoothing
        size = max(1, chunk // len(weight))
        self.size = size - size % ROWS_MULTIPLE if size > ROWS_MULTIPLE else size  # rows of a chunk
        self.mean_weight = weight.mean(0, dtype=self.precision).unsqueeze(1)  # (O, 1)
        self.mean_bias = bias.mean(dtype=self.precision)
        self.smoothed, self.nll = torch.zeros(2, dtype=self.precision, device=output.device).unbind()
        self.grad_output = torch.empty_like(output)
        self.grad_weight = torch.zeros_like(weight, dtype=self.precision)
        self.grad_bias = torch.zeros_like(bias, dtype=self.precision)

    def add(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Adds the losses of `rows`.

        Returns surplus (C, V) and total (C, 1): surplus / total is the probabilities minus that of the label.
        """
        output, labels, real = self.output[rows], self.labels[rows], self.real[rows]
        logits = torch.addmm(self.bias, output, self.weight.t())  # (C, V)
        of_label, highest = logits.gather(1, labels), logits.amax(1, keepdim=True)  # (C, 1)
        powers = logits.sub_(highest).exp_()  # (C, V) faster than torch.softmax
        total = _sum_of_rows(powers, self.precision)  # (C, 1)
        log_total = highest + total.log()  # (C, 1)
        uniform = log_total - output.to(self.precision) @ self.mean_weight - self.mean_bias  # (C, 1)
        nll = log_total - of_label  # (C, 1)
        self.nll += (nll * real).sum()
        self.smoothed += (((1 - self.smoothing) * nll + self.smoothing * uniform) * real).sum()
        surplus = powers.gather(1, labels) + (self.smoothing - 1) * total  # (C, 1) of the labels
        row = torch.arange(len(powers), device=powers.device)
        # In bfloat16 scatter_ would copy all of `powers` twice.
        return powers.index_put_((row, labels.squeeze(1)), surplus.to(powers.dtype).squeeze(1)), total

    def add_gradients(self, rows: slice, surplus: Tensor, total: Tensor) -> None:
        """Adds the gradients of `rows`, given the result of `add`."""
        counts = (self.real[rows] / total).to(surplus.dtype)  # (C, 1)
        torch.mul(surplus @ self.weight, counts, out=self.grad_output[rows])
        self.grad_weight += surplus.t() @ (self.output[rows] * counts)
        self.grad_bias += (counts.t() @ surplus).squeeze(0)

    def gradients(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the gradients of the first `rows` of output, of weight and of bias, with the share of smoothing."""
        share = self.smoothing / len(self.weight)
        uniform = (self.smoothing * self.mean_weight).to(self.output.dtype).t()  # (1, O)
        self.grad_weight -= share * (self.output * self.real).sum(0, dtype=self.precision)
        self.grad_bias -= share * self.real.sum(dtype=self.precision)
        return (self.grad_output - uniform * self.real)[:rows], self.grad_weight, self.grad_bias


def _sum_of_rows(powers: Tensor, precision: torch.dtype) -> Tensor:
    """Returns the sums (C, 1) of powers (C, V), in bfloat16 from partial sums.

    PyTorch accumulates each partial sum in float32 and rounds its result; with dtype=float32 it would copy `powers`.
    """
    if powers.dtype == precision:
        return powers.sum(1, keepdim=True)
    parts = [part.sum(1) for part in powers.chunk(_PARTS, dim=1)]
    return torch.stack(parts, dim=1).sum(1, keepdim=True, dtype=precision)
