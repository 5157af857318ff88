"""Layer normalisation over all steps of a batch (Ba et al. 2016, arXiv 1607.06450), forward and backward.

Shape key: T steps, B sentences, N width of what is normalised.
"""

import torch
from torch import Tensor


class NormSteps:
    """One normalisation, a step at a time; keeps what it was given and its two moments."""

    def __init__(self, gain: Tensor, bias: Tensor | None) -> None:
        """gain and bias (N,)."""
        self.gain, self.bias = gain, bias
        self.kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def start_backward(self) -> None:
        """Makes room for the gradients."""
        self.grad_gain = torch.zeros_like(self.gain)
        self.grad_bias = None if self.bias is None else torch.zeros_like(self.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalised inputs (B, N), for t = 0 … T-1."""
        inputs = inputs.to(self.gain.dtype, copy=True)  # its memory is the caller's
        normalised, mean, scale = torch.native_layer_norm(inputs, inputs.shape[1:], self.gain, self.bias, 1e-5)
        self.kept.append((inputs, mean, scale))
        return normalised

    def backward(self, t: int, grad: Tensor) -> Tensor:
        """Gradient of the inputs of step t from that of what it gave, each (B, N); adds to those of gain and bias."""
        inputs, mean, scale = self.kept[t]
        of_inputs, of_gain, of_bias = torch.ops.aten.native_layer_norm_backward(
            grad.to(self.gain.dtype), inputs, inputs.shape[1:], mean, scale, self.gain, self.bias,
            [True, True, self.bias is not None],
        )  # fmt: skip
        self.grad_gain += of_gain
        if self.grad_bias is not None:
            self.grad_bias += of_bias
        return of_inputs
