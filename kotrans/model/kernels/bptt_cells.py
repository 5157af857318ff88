"""The cells over all steps of a batch: the equations of `kotrans.model.cells`, their derivatives, and what to keep.

Shape key: T steps, B sentences, Q state width, G number of gates (LSTM 4, GRU 3, RNN 1).
What comes from or goes into a product of weights is in the products' type, which may be bfloat16; what is element by
element here is in float32 at least.

Layer normalisation over all steps of a batch (Ba et al. 2016, arXiv 1607.06450), forward and backward.

Shape key: T steps, B sentences, N width of what is normalised.
"""

from typing import NamedTuple

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


_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class CellParameters(NamedTuple):
    """What a cell may have besides W, U and b."""

    bias_new: Tensor | None = None  # (Q,) b_n of a GRU
    input_gain: Tensor | None = None  # (G*Q,) the rest is layer normalisation's
    bias: Tensor | None = None  # (G*Q,) b, which is added after it
    hidden_gain: Tensor | None = None  # (G*Q,)
    long_term_gain: Tensor | None = None  # (Q,)
    long_term_bias: Tensor | None = None  # (Q,)


class CellSteps:
    """The steps of one cell: `forward` for t = 0 … T-1, then `backward` for t = T-1 … 0, then the gradients."""

    gates: int

    def __init__(self, steps: int, first: Tensor, dtype: torch.dtype) -> None:
        """first (B, Q) is the hidden state before step 0; dtype is that of the products."""
        batch, size = first.shape
        self.precision = torch.promote_types(dtype, torch.float32)
        self.hidden = first.new_empty(steps + 1, batch, size, dtype=dtype)
        """h_0 … h_T"""
        self.hidden[0] = first
        self.grad_projected = first.new_empty(0)
        """(T, B, G*Q) gradients of W x + b, made by `backward`."""
        self.grad_recurrent = first.new_empty(0)
        """(T, B, G*Q) gradients of U h; the same tensor where they are the same."""

    def start_backward(self, grad_long_term: Tensor | None) -> None:
        """Makes room for the gradients; grad_long_term (B, Q) is that of an LSTM's last C."""
        steps, batch, size = self.hidden.shape
        self.grad_projected = self.hidden.new_empty(steps - 1, batch, self.gates * size)
        self.grad_recurrent = self.grad_projected

    def forward(self, t: int, projected: Tensor, recurrent: Tensor) -> None:
        """Makes hidden[t + 1] from W x + b and U h, each (B, G*Q)."""
        raise NotImplementedError

    def backward(self, t: int, grad: Tensor) -> Tensor | None:
        """Makes row t of the gradients from grad (B, Q) of hidden[t + 1].

        Returns what of it goes to hidden[t] past all products, if anything does.
        """
        raise NotImplementedError

    def grad_long_term(self) -> Tensor | None:
        """Gradient (B, Q) of an LSTM's C_0."""
        return None

    def last_long_term(self) -> Tensor | None:
        """An LSTM's C_T (B, Q)."""
        return None

    def gradients(self) -> "CellParameters":
        """Of the cell's own parameters."""
        return CellParameters()


class LSTMSteps(CellSteps):
    """Keeps the gates, C and tanh(C) of every step; the gradient of C goes from step to step in `carried`."""

    gates = 4

    def __init__(
        self, steps: int, first: Tensor, dtype: torch.dtype, long_term: Tensor, norm: NormSteps | None
    ) -> None:
        """norm is of C, where tanh is taken of it."""
        super().__init__(steps, first, dtype)
        self.norm = norm
        batch, size = first.shape
        self.activated = first.new_empty(steps, batch, 4 * size, dtype=self.precision)  # i, f, g, o
        self.long_term = first.new_empty(steps + 1, batch, size, dtype=self.precision)  # C_0 … C_T
        self.long_term[0] = long_term
        self.squashed = first.new_empty(steps, batch, size, dtype=self.precision)  # tanh(C)
        self.carried = first.new_empty(0)

    def start_backward(self, grad_long_term: Tensor | None) -> None:
        super().start_backward(grad_long_term)
        self.carried = torch.zeros_like(self.squashed[0])
        if self.norm is not None:
            self.norm.start_backward()
        if grad_long_term is not None:
            self.carried += grad_long_term
        self.grad_gates = torch.empty_like(self.activated[0])

    def forward(self, t: int, projected: Tensor, recurrent: Tensor) -> None:
        activated, long_term = self.activated[t], self.long_term[t + 1]
        size = long_term.size(1)
        torch.add(projected, recurrent, out=activated)
        activated[:, : 2 * size].sigmoid_()
        activated[:, 2 * size : 3 * size].tanh_()
        activated[:, 3 * size :].sigmoid_()
        i, f, g, o = activated.chunk(4, dim=1)  # (B, Q) each
        torch.mul(f, self.long_term[t], out=long_term).addcmul_(i, g)
        normed = long_term if self.norm is None else self.norm.forward(long_term)
        torch.mul(o, torch.tanh(normed, out=self.squashed[t]), out=self.hidden[t + 1])

    def backward(self, t: int, grad: Tensor) -> None:
        activated, squashed, grad_gates = self.activated[t], self.squashed[t], self.grad_gates
        size = squashed.size(1)
        i, f, g, o = activated.chunk(4, dim=1)  # (B, Q) each
        grad_i, grad_f, grad_g, grad_o = grad_gates.chunk(4, dim=1)  # (B, Q) each
        grad_normed = _tanh_backward(torch.mul(grad, o, out=grad_i), squashed, grad_input=grad_i)
        self.carried.add_(grad_normed if self.norm is None else self.norm.backward(t, grad_normed))
        torch.mul(self.carried, g, out=grad_i)
        torch.mul(self.carried, self.long_term[t], out=grad_f)
        torch.mul(self.carried, i, out=grad_g)
        torch.mul(grad, squashed, out=grad_o)
        _sigmoid_backward(grad_gates[:, : 2 * size], activated[:, : 2 * size], grad_input=grad_gates[:, : 2 * size])
        _tanh_backward(grad_g, g, grad_input=grad_g)
        _sigmoid_backward(grad_o, o, grad_input=grad_o)
        self.carried.mul_(f)
        self.grad_projected[t] = grad_gates

    def grad_long_term(self) -> Tensor:
        return self.carried

    def last_long_term(self) -> Tensor:
        return self.long_term[-1].clone()

    def gradients(self) -> CellParameters:
        if self.norm is None:
            return CellParameters()
        return CellParameters(long_term_gain=self.norm.grad_gain, long_term_bias=self.norm.grad_bias)


class GRUSteps(CellSteps):
    """Keeps r, z, n and U h + b_n of every step."""

    gates = 3

    def __init__(self, steps: int, first: Tensor, dtype: torch.dtype, bias_new: Tensor) -> None:
        super().__init__(steps, first, dtype)
        batch, size = first.shape
        self.bias_new = bias_new
        self.activated = first.new_empty(steps, batch, 3 * size, dtype=self.precision)  # r, z, n
        self.candidate = first.new_empty(steps, batch, size, dtype=self.precision)  # U h + b_n

    def start_backward(self, grad_long_term: Tensor | None) -> None:
        super().start_backward(grad_long_term)
        self.grad_recurrent = torch.empty_like(self.grad_projected)

    def forward(self, t: int, projected: Tensor, recurrent: Tensor) -> None:
        size = self.candidate.size(2)
        reset_update, new = self.activated[t].split([2 * size, size], dim=1)
        torch.add(projected[:, : 2 * size], recurrent[:, : 2 * size], out=reset_update).sigmoid_()
        reset, update = reset_update.chunk(2, dim=1)  # (B, Q) each
        candidate = torch.add(recurrent[:, 2 * size :], self.bias_new, out=self.candidate[t])
        torch.addcmul(projected[:, 2 * size :].to(self.precision), reset, candidate, out=new).tanh_()
        self.hidden[t + 1] = torch.lerp(new, self.hidden[t].to(self.precision), update)

    def backward(self, t: int, grad: Tensor) -> Tensor:
        reset, update, new = self.activated[t].chunk(3, dim=1)  # (B, Q) each
        grad_new = (grad - grad * update) * (1 - new * new)  # of what tanh is taken of
        grad_update = grad * (self.hidden[t] - new) * (update - update * update)
        grad_reset = grad_new * self.candidate[t] * (reset - reset * reset)
        torch.cat([grad_reset, grad_update, grad_new], dim=1, out=self.grad_projected[t])
        torch.cat([grad_reset, grad_update, grad_new * reset], dim=1, out=self.grad_recurrent[t])
        return grad * update

    def gradients(self) -> CellParameters:
        size = self.bias_new.size(0)
        return CellParameters(bias_new=self.grad_recurrent[:, :, 2 * size :].sum((0, 1), dtype=self.precision))


class RNNSteps(CellSteps):
    """Keeps nothing but the states."""

    gates = 1

    def forward(self, t: int, projected: Tensor, recurrent: Tensor) -> None:
        torch.add(projected, recurrent, out=self.hidden[t + 1]).tanh_()

    def backward(self, t: int, grad: Tensor) -> None:
        hidden = self.hidden[t + 1].to(self.precision)
        self.grad_projected[t] = torch.ops.aten.tanh_backward(grad, hidden)


class NormedSteps(CellSteps):
    """The steps of a cell with layer normalisation, around those without."""

    def __init__(self, inner: CellSteps, input_norm: NormSteps, hidden_norm: NormSteps) -> None:
        self.inner, self.input_norm, self.hidden_norm = inner, input_norm, hidden_norm
        self.hidden, self.precision = inner.hidden, inner.precision

    def start_backward(self, grad_long_term: Tensor | None) -> None:
        self.inner.start_backward(grad_long_term)
        self.input_norm.start_backward()
        self.hidden_norm.start_backward()
        self.grad_projected, self.grad_recurrent = (torch.empty_like(self.inner.grad_projected) for _ in range(2))

    def forward(self, t: int, projected: Tensor, recurrent: Tensor) -> None:
        self.inner.forward(t, self.input_norm.forward(projected), self.hidden_norm.forward(recurrent))

    def backward(self, t: int, grad: Tensor) -> Tensor | None:
        past = self.inner.backward(t, grad)
        self.grad_projected[t] = self.input_norm.backward(t, self.inner.grad_projected[t])
        self.grad_recurrent[t] = self.hidden_norm.backward(t, self.inner.grad_recurrent[t])
        return past

    def grad_long_term(self) -> Tensor | None:
        return self.inner.grad_long_term()

    def last_long_term(self) -> Tensor | None:
        return self.inner.last_long_term()

    def gradients(self) -> CellParameters:
        return self.inner.gradients()._replace(
            input_gain=self.input_norm.grad_gain, bias=self.input_norm.grad_bias, hidden_gain=self.hidden_norm.grad_gain
        )
