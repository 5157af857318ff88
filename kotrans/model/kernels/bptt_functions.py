"""The steps of `attending` and of a bare cell as operations that autograd knows.

Shape key: T steps, B sentences, S source positions, H memory width, Q state width, A width of a key, G gates.

A cell over all steps of a batch, and the pass back through it, without a graph.

Shape key: T steps, B sentences, Q state width, G gates.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kotrans.model.attention import (
    AdditiveAttention,
    Attention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
    LocationAttention,
)
from kotrans.model.cells import Cell, CellState, GRUCell, LSTMCell
from kotrans.model.kernels.bptt_attending import (
    AdditiveSteps,
    AttendingSteps,
    CosineSteps,
    LocationSteps,
    ProductSteps,
    ScoreSteps,
    Weights,
    summed,
)
from kotrans.model.kernels.bptt_cells import (
    CellParameters,
    CellSteps,
    GRUSteps,
    LSTMSteps,
    NormedSteps,
    NormSteps,
    RNNSteps,
)
from kotrans.model.kernels.products import PackedMatrix


class RecurringSteps:
    """h_1 … h_T of inputs that are all there before, and the gradients of what they were made of."""

    def __init__(self, cell: CellSteps, weight: Tensor, dropout_mask: Tensor | None) -> None:
        """weight U (G*Q, Q) in the products' type, dropout_mask (B, Q) as in `Cell.forward`."""
        self.cell, self.weight, self.dropout_mask = cell, weight, dropout_mask

    def forward(self, projected: Tensor) -> None:
        """projected (T, B, G*Q) = W x + b."""
        hidden = self.cell.hidden
        weight = PackedMatrix(self.weight, hidden.size(1))
        for t, step in enumerate(projected):
            self.cell.forward(t, step, weight.product(self.dropped(hidden[t])))

    def backward(self, grad_hidden: Tensor, grad_long_term: Tensor | None) -> None:
        """From the gradients of h (T, B, Q) and of an LSTM's last C (B, Q)."""
        cell = self.cell
        cell.start_backward(grad_long_term)
        weight = PackedMatrix(self.weight.t(), grad_hidden.size(1))
        self.grad_first = torch.zeros_like(cell.hidden[0], dtype=cell.precision)  # of h_t, at last of h_0
        for t in reversed(range(len(grad_hidden))):
            past = cell.backward(t, self.grad_first.add_(grad_hidden[t]))
            self.grad_first = self.dropped(weight.product(cell.grad_recurrent[t]).to(cell.precision))
            if past is not None:
                self.grad_first.add_(past)

    def grad_weight(self) -> Tensor:
        """One product over all steps and sentences."""
        return summed(self.cell.grad_recurrent, self.dropped(self.cell.hidden[:-1]))

    def dropped(self, hidden: Tensor) -> Tensor:
        """The states as U multiplies them."""
        return hidden if self.dropout_mask is None else hidden * self.dropout_mask.to(hidden.dtype)


class Attended(NamedTuple):
    """What the first layer of the decoder gives."""

    hidden: Tensor  # (T, B, Q) s_1 … s_T
    contexts: Tensor  # (T, B, H) c_1 … c_T
    alphas: Tensor  # (T, B, S)
    last: CellState


def attend(
    cell: Cell, attention: Attention, projected: Tensor, state: CellState, keys: Tensor, memory: Tensor, mask: Tensor,
    columns: Tensor, dropout_mask: Tensor | None,
) -> Attended:  # fmt: skip
    """All steps of teacher forcing from projected (T, B, G*Q) = W y + b and the state before them.

    keys (B, S, A), memory (B, S, H), mask (B, S); columns (G*Q, H) of W multiply the context; dropout_mask (B, Q) as in
    `Cell.forward`. In autocast the weights are multiplied in its type, and the rest is in float32.
    """
    weight_query, own = _score_weights(attention)
    hidden, contexts, alphas, long_term = _Attend.apply(  # type: ignore[no-untyped-call]
        attention, projected, state.hidden, state.long_term, keys, memory, mask, dropout_mask,
        cell.weight_hidden, columns, weight_query, own, *_cell_parameters(cell),
    )  # fmt: skip
    return Attended(hidden, contexts, alphas, CellState(hidden[-1], long_term))


def recur(cell: Cell, projected: Tensor, state: CellState, dropout_mask: Tensor | None) -> tuple[Tensor, CellState]:
    """States (T, B, Q) from projected (T, B, G*Q) = W x + b and the state before them, and the last state."""
    hidden, long_term = _Recur.apply(  # type: ignore[no-untyped-call]
        projected, state.hidden, state.long_term, dropout_mask, cell.weight_hidden, *_cell_parameters(cell)
    )
    return hidden, CellState(hidden[-1], long_term)


class _Recur(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, first: Tensor, long_term: Tensor | None, dropout_mask: Tensor | None,
        weight_hidden: Tensor, *own: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        with torch.autocast(projected.device.type, enabled=False):
            cell = _cell_steps(len(projected), first, projected.dtype, long_term, CellParameters(*own))
            steps = RecurringSteps(cell, weight_hidden.to(projected.dtype), dropout_mask)
            steps.forward(projected)
        ctx.set_materialize_grads(False)
        ctx.steps = steps
        return cell.hidden[1:], cell.last_long_term()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor | None, grad_long_term: Tensor | None) -> tuple[Tensor | None, ...]:
        steps: RecurringSteps = ctx.steps
        cell = steps.cell
        if grad_hidden is None:
            grad_hidden = torch.zeros_like(cell.hidden[1:])
        with torch.autocast(grad_hidden.device.type, enabled=False):
            steps.backward(grad_hidden, grad_long_term)
            return (
                cell.grad_projected, steps.grad_first, cell.grad_long_term(), None, steps.grad_weight(),
                *cell.gradients(),
            )  # fmt: skip


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, attention: Attention, projected: Tensor, first: Tensor, long_term: Tensor | None, keys: Tensor,
        memory: Tensor, mask: Tensor, dropout_mask: Tensor | None, weight_hidden: Tensor, columns: Tensor,
        weight_query: Tensor | None, score_parameter: Tensor | None, *own: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:  # fmt: skip
        dtype = projected.dtype
        with torch.autocast(projected.device.type, enabled=False):
            query = None if weight_query is None else weight_query.to(dtype)
            weights = Weights(weight_hidden.to(dtype), columns.to(dtype), query)
            cell = _cell_steps(len(projected), first, dtype, long_term, CellParameters(*own))
            steps = AttendingSteps(
                cell, _score_steps(attention, keys, score_parameter), weights, memory, mask, dropout_mask
            )
            steps.forward(projected)
        ctx.set_materialize_grads(False)
        ctx.steps = steps
        # Views, because an output that is kept in ctx itself would never be freed.
        return (
            cell.hidden[1:],
            steps.contexts.view_as(steps.contexts),
            steps.alphas.view_as(steps.alphas),
            cell.last_long_term(),
        )

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_hidden: Tensor | None, grad_contexts: Tensor | None, grad_alphas: Tensor | None,
        grad_long_term: Tensor | None,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        steps: AttendingSteps = ctx.steps
        cell, score = steps.cell, steps.score
        if grad_hidden is None:
            grad_hidden = torch.zeros_like(cell.hidden[1:])
        if grad_contexts is None:
            grad_contexts = torch.zeros_like(steps.contexts)
        with torch.autocast(grad_hidden.device.type, enabled=False):
            steps.backward(grad_hidden, grad_contexts, grad_alphas, grad_long_term)
            grad_keys, grad_own = score.gradients(steps.queries, steps.grad_scores)
            weights = steps.grad_weights()
            return (
                None, cell.grad_projected, steps.grad_first, cell.grad_long_term(), grad_keys, steps.grad_memory(),
                None, None, weights.hidden, weights.context, weights.query, grad_own, *cell.gradients(),
            )  # fmt: skip


def _cell_parameters(cell: Cell) -> CellParameters:
    own = CellParameters(bias_new=cell.bias_new) if isinstance(cell, GRUCell) else CellParameters()
    if not isinstance(cell.input_norm, nn.LayerNorm) or not isinstance(cell.hidden_norm, nn.LayerNorm):
        return own
    own = own._replace(input_gain=cell.input_norm.weight, bias=cell.bias, hidden_gain=cell.hidden_norm.weight)
    if isinstance(cell, LSTMCell) and isinstance(cell.long_term_norm, nn.LayerNorm):
        own = own._replace(long_term_gain=cell.long_term_norm.weight, long_term_bias=cell.long_term_norm.bias)
    return own


def _cell_steps(
    steps: int, first: Tensor, dtype: torch.dtype, long_term: Tensor | None, own: CellParameters
) -> CellSteps:
    cell: CellSteps
    if long_term is not None:
        norm = None if own.long_term_gain is None else NormSteps(own.long_term_gain, own.long_term_bias)
        cell = LSTMSteps(steps, first, dtype, long_term, norm)
    elif own.bias_new is not None:
        cell = GRUSteps(steps, first, dtype, own.bias_new)
    else:
        cell = RNNSteps(steps, first, dtype)
    if own.input_gain is None or own.hidden_gain is None:
        return cell
    return NormedSteps(cell, NormSteps(own.input_gain, own.bias), NormSteps(own.hidden_gain, None))


def _score_weights(attention: Attention) -> tuple[Tensor | None, Tensor | None]:
    """The matrix that makes the query, and the score's own parameter."""
    match attention:
        case AdditiveAttention():
            return attention.query.weight, attention.energy.weight
        case LocationAttention():
            return attention.position.weight, None
        case CosineAttention():
            return None, attention.log_beta
    return None, None


def _score_steps(attention: Attention, keys: Tensor, own: Tensor | None) -> ScoreSteps:
    match attention:
        case AdditiveAttention():
            assert own is not None
            return AdditiveSteps(keys, own.squeeze(0))
        case CosineAttention():
            return CosineSteps(keys, own)
        case LocationAttention():
            return LocationSteps(keys)
        case DotAttention():
            return ProductSteps(keys, attention.factor)
        case GeneralAttention():
            return ProductSteps(keys)
    raise TypeError(attention)
