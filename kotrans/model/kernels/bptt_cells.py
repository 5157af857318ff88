"""An LSTM cell over all steps of a batch, forward and backward, without an autograd graph.

The equations are those of `kotrans.model.cells.LSTMCell`. Inputs and outputs of matrix products have the dtype of the
products, which may be bfloat16; element-wise operations run in float32 or higher.

Shape key: T steps, B sentences, Q state width, N width of a normalised vector.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kotrans.model.kernels.private_operators import layer_norm_backward, sigmoid_backward, tanh_backward
from kotrans.model.kernels.products import PackedMatrix, pad_rows


def sum_of_outer_products(left: Tensor, right: Tensor) -> Tensor:
    """Returns the sum over t and b of the outer products of left (T, B, M) and right (T, B, N): (M, N)."""
    return pad_rows(left.flatten(0, 1)).t() @ pad_rows(right.flatten(0, 1))


class NormParameters(NamedTuple):
    """Parameters of a cell with layer normalisation: gains and biases of its three normalisations."""

    input_gain: Tensor  # (4Q,)
    input_bias: Tensor  # (4Q,) b of the cell, added after the normalisation
    hidden_gain: Tensor  # (4Q,)
    long_term_gain: Tensor  # (Q,)
    long_term_bias: Tensor  # (Q,)


class NormSteps:
    """Layer normalisation (Ba et al. 2016, arXiv 1607.06450); stores the inputs and moments of each step."""

    def __init__(self, gain: Tensor, bias: Tensor | None) -> None:
        """gain and bias (N,)."""
        self.gain, self.bias = gain, bias
        self._stored: list[tuple[Tensor, Tensor, Tensor]] = []

    def start_backward(self) -> None:
        """Allocates the gradients."""
        self.grad_gain = torch.zeros_like(self.gain)
        self.grad_bias = torch.zeros_like(self.gain)  # stays 0 without a bias

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the normalised inputs (B, N) of the next step."""
        inputs = inputs.to(self.gain.dtype, copy=True)  # the caller reuses its memory
        normalised, mean, scale = torch.native_layer_norm(inputs, inputs.shape[1:], self.gain, self.bias, 1e-5)
        self._stored.append((inputs, mean, scale))
        return normalised

    def backward(self, t: int, grad: Tensor) -> Tensor:
        """Returns the gradient of the inputs of step t from that of its outputs, each (B, N).

        Adds to the gradients of gain and bias.
        """
        inputs, mean, scale = self._stored[t]
        grad_inputs, grad_gain, grad_bias = layer_norm_backward(grad, inputs, mean, scale, self.gain, self.bias)
        self.grad_gain += grad_gain
        if grad_bias is not None:
            self.grad_bias += grad_bias
        return grad_inputs


class LSTMSteps:
    """An LSTM cell: `forward` for t = 0 … T-1, `start_backward`, `backward` for t = T-1 … 0, then the gradients.

    Stores the gates, C and tanh(C) of every step.
    """

    def __init__(
        self, steps: int, first: Tensor, long_term: Tensor, weight: Tensor, dropout_mask: Tensor | None,
        norms: NormParameters | None,
    ) -> None:  # fmt: skip
        """first h_0 (B, Q), long_term C_0 (B, Q), weight U (4Q, Q) in the dtype of the products.

        dropout_mask (B, Q) is as in `Cell.forward`.
        """
        batch, size = first.shape
        self.precision = torch.promote_types(weight.dtype, torch.float32)
        self.hidden = first.new_empty(steps + 1, batch, size, dtype=weight.dtype)  # h_0 … h_T
        self.hidden[0] = first
        self.long_term = first.new_empty(steps + 1, batch, size, dtype=self.precision)  # C_0 … C_T
        self.long_term[0] = long_term
        self._gates = first.new_empty(steps, batch, 4 * size, dtype=self.precision)  # i, f, g, o
        self._squashed = first.new_empty(steps, batch, size, dtype=self.precision)  # tanh(C)
        self._weight, self._dropout_mask = weight, dropout_mask
        self._product = PackedMatrix(weight, batch)
        self._norms = None if norms is None else (  # of W x, U h and C
            NormSteps(norms.input_gain, norms.input_bias), NormSteps(norms.hidden_gain, None),
            NormSteps(norms.long_term_gain, norms.long_term_bias),
        )  # fmt: skip

    def forward(self, t: int, projected: Tensor) -> None:
        """Computes h and C of step t from projected (B, 4Q) = W x + b, with layer normalisation W x alone."""
        recurrent = self._product.product(self._dropped(self.hidden[t]))  # (B, 4Q) U h
        if self._norms is not None:
            projected, recurrent = self._norms[0].forward(projected), self._norms[1].forward(recurrent)
        gates, long_term = self._gates[t], self.long_term[t + 1]
        size = long_term.size(1)
        torch.add(projected, recurrent, out=gates)
        gates[:, : 2 * size].sigmoid_()
        gates[:, 2 * size : 3 * size].tanh_()
        gates[:, 3 * size :].sigmoid_()
        i, f, g, o = gates.chunk(4, dim=1)  # (B, Q) each
        torch.mul(f, self.long_term[t], out=long_term).addcmul_(i, g)
        shown = long_term if self._norms is None else self._norms[2].forward(long_term)
        torch.mul(o, torch.tanh(shown, out=self._squashed[t]), out=self.hidden[t + 1])

    def start_backward(self, grad_long_term: Tensor | None) -> None:
        """Allocates the gradients; grad_long_term (B, Q) is that of C_T."""
        steps, batch, width = self._gates.shape
        self.grad_projected = self.hidden.new_empty(steps, batch, width)  # of W x + b
        self.grad_recurrent = self.grad_projected  # of U h
        if self._norms is not None:
            self.grad_recurrent = torch.empty_like(self.grad_projected)
            for norm in self._norms:
                norm.start_backward()
        self.grad_long_term = torch.zeros_like(self._squashed[0])  # of C_t, finally of C_0
        if grad_long_term is not None:
            self.grad_long_term += grad_long_term
        self._grad_gates = torch.empty_like(self._gates[0])
        self._product = PackedMatrix(self._weight.t(), batch)

    def backward(self, t: int, grad: Tensor) -> Tensor:
        """Returns the gradient (B, Q) of h before step t from grad (B, Q), that of h after it."""
        gates, squashed, grad_gates = self._gates[t], self._squashed[t], self._grad_gates
        size = squashed.size(1)
        i, f, g, o = gates.chunk(4, dim=1)  # (B, Q) each
        grad_i, grad_f, grad_g, grad_o = grad_gates.chunk(4, dim=1)  # (B, Q) each
        grad_shown = torch.mul(grad, o, out=grad_i)
        tanh_backward(grad_shown, squashed, grad_shown)
        self.grad_long_term.add_(grad_shown if self._norms is None else self._norms[2].backward(t, grad_shown))
        torch.mul(self.grad_long_term, g, out=grad_i)
        torch.mul(self.grad_long_term, self.long_term[t], out=grad_f)
        torch.mul(self.grad_long_term, i, out=grad_g)
        torch.mul(grad, squashed, out=grad_o)
        grad_if = grad_gates[:, : 2 * size]  # (B, 2Q)
        sigmoid_backward(grad_if, gates[:, : 2 * size], grad_if)
        tanh_backward(grad_g, g, grad_g)
        sigmoid_backward(grad_o, o, grad_o)
        self.grad_long_term.mul_(f)
        if self._norms is None:
            self.grad_projected[t] = grad_gates
        else:
            self.grad_projected[t] = self._norms[0].backward(t, grad_gates)
            self.grad_recurrent[t] = self._norms[1].backward(t, grad_gates)
        return self._dropped(self._product.product(self.grad_recurrent[t]).to(self.precision))

    def grad_weight(self) -> Tensor:
        """Returns the gradient (4Q, Q) of U."""
        return sum_of_outer_products(self.grad_recurrent, self._dropped(self.hidden[:-1]))

    def norm_gradients(self) -> tuple[Tensor, ...]:
        """Returns the gradients of the `NormParameters`; an empty tuple without layer normalisation."""
        if self._norms is None:
            return ()
        of_input, of_hidden, of_long_term = self._norms
        return NormParameters(
            of_input.grad_gain, of_input.grad_bias, of_hidden.grad_gain, of_long_term.grad_gain, of_long_term.grad_bias
        )

    def _dropped(self, hidden: Tensor) -> Tensor:
        return hidden if self._dropout_mask is None else hidden * self._dropout_mask.to(hidden.dtype)
