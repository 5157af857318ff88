"""Hand-written backpropagation through time for LSTM cells, with and without attention, as autograd functions.

They are faster than autograd over a graph of small steps. Cells and scores without a hand-written backward
pass (GRU and RNN; cosine and location) train with autograd: `has_backward_pass`.

Shape key: T steps, B sentences, S source positions, H memory width, Q state width, A width of a key.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kotrans.model.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention
from kotrans.model.cells import Cell, CellState, LSTMCell
from kotrans.model.kernels.bptt_attending import AdditiveSteps, AttentionSteps, ProductSteps, ScoreSteps
from kotrans.model.kernels.bptt_cells import LSTMSteps, NormParameters


def has_backward_pass(cell: Cell, attention: Attention | None) -> bool:
    """Returns whether `recur` (without attention) or `attend` can compute the cell and the score."""
    return isinstance(cell, LSTMCell) and isinstance(
        attention, AdditiveAttention | GeneralAttention | DotAttention | None
    )


def recur(cell: Cell, projected: Tensor, state: CellState, dropout_mask: Tensor | None) -> tuple[Tensor, CellState]:
    """Runs an LSTM cell from `state` over projected (T, B, 4Q) = W x + b; returns h (T, B, Q) and the last state.

    dropout_mask (B, Q) is as in `Cell.forward`. Under autocast products run in its dtype, everything else in float32.
    """
    hidden, long_term, _, _ = _LSTM.apply(  # type: ignore[no-untyped-call]
        projected, state.hidden, state.long_term, dropout_mask, cell.weight_hidden, None, None, None, None, None,
        None, None, *_norm_parameters(cell),
    )  # fmt: skip
    return hidden, CellState(hidden[-1], long_term)


def attend(
    cell: Cell, attention: Attention, projected: Tensor, state: CellState, keys: Tensor, memory: Tensor, mask: Tensor,
    columns: Tensor, dropout_mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, CellState]:  # fmt: skip
    """Runs an LSTM cell with attention from `state` over projected (T, B, 4Q) = W y + b.

    Returns s_i (T, B, Q), c_i (T, B, H), α_i (T, B, S) and the last state.

    keys (B, S, A), memory (B, S, H), mask (B, S); columns (4Q, H) of W multiply the context. Dropout and autocast as
    in `recur`.
    """
    query = energy = None
    if isinstance(attention, AdditiveAttention):
        query, energy = attention.query.weight, attention.energy.weight
    hidden, long_term, contexts, alphas = _LSTM.apply(  # type: ignore[no-untyped-call]
        projected, state.hidden, state.long_term, dropout_mask, cell.weight_hidden, attention, keys, memory, mask,
        columns, query, energy, *_norm_parameters(cell),
    )  # fmt: skip
    return hidden, contexts, alphas, CellState(hidden[-1], long_term)


class _LSTM(torch.autograd.Function):
    """All steps of an LSTM cell, with attention or without."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, first: Tensor, long_term: Tensor, dropout_mask: Tensor | None,
        weight_hidden: Tensor, attention: Attention | None, keys: Tensor, memory: Tensor, mask: Tensor,
        columns: Tensor, weight_query: Tensor | None, energy: Tensor | None, *norms: Tensor,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        dtype, attended = projected.dtype, None
        with torch.autocast(projected.device.type, enabled=False):
            lstm = LSTMSteps(
                len(projected), first, long_term, weight_hidden.to(dtype), dropout_mask,
                NormParameters(*norms) if norms else None,
            )  # fmt: skip
            if attention is not None:
                query = None if weight_query is None else weight_query.to(dtype)
                score = _score_steps(attention, keys, energy)
                attended = AttentionSteps(lstm.hidden, score, query, columns.to(dtype), memory, mask)
            for t, step in enumerate(projected):
                lstm.forward(t, step if attended is None else attended.forward(t, step))
        ctx.set_materialize_grads(False)
        ctx.lstm, ctx.attended = lstm, attended
        outputs = lstm.hidden[1:], lstm.long_term[-1].clone()
        if attended is None:
            return *outputs, None, None
        # Views: an output that ctx itself holds would never be freed.
        return *outputs, attended.contexts.view_as(attended.contexts), attended.alphas.view_as(attended.alphas)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_hidden: Tensor | None, grad_long_term: Tensor | None, grad_contexts: Tensor | None,
        grad_alphas: Tensor | None,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        lstm: LSTMSteps = ctx.lstm
        attended: AttentionSteps | None = ctx.attended
        if grad_hidden is None:
            grad_hidden = torch.zeros_like(lstm.hidden[1:])
        with torch.autocast(grad_hidden.device.type, enabled=False):
            lstm.start_backward(grad_long_term)
            if attended is not None:
                attended.start_backward()
                if grad_contexts is None:
                    grad_contexts = torch.zeros_like(attended.contexts)
            grad = torch.zeros_like(lstm.hidden[0], dtype=lstm.precision)  # (B, Q) of h_t, finally of h_0
            for t in reversed(range(len(grad_hidden))):
                grad = lstm.backward(t, grad.add_(grad_hidden[t]))
                if attended is not None and grad_contexts is not None:
                    grad_alpha = None if grad_alphas is None else grad_alphas[t]
                    grad.add_(attended.backward(t, lstm.grad_projected[t], grad_contexts[t], grad_alpha))
            common = lstm.grad_projected, grad, lstm.grad_long_term, None, lstm.grad_weight()
            if attended is None:
                return *common, *[None] * 7, *lstm.norm_gradients()
            (grad_keys, grad_energy), grad_memory = attended.grad_score(), attended.grad_memory()
            grad_query, grad_columns = attended.grad_weights(lstm.grad_projected)
            return (
                *common, None, grad_keys, grad_memory, None, grad_columns, grad_query, grad_energy,
                *lstm.norm_gradients(),
            )  # fmt: skip


def _score_steps(attention: Attention, keys: Tensor, energy: Tensor | None) -> ScoreSteps:
    if energy is not None:
        return AdditiveSteps(keys, energy.squeeze(0))
    return ProductSteps(keys, attention.factor if isinstance(attention, DotAttention) else 1.0)


def _norm_parameters(cell: Cell) -> tuple[Tensor, ...]:
    """Returns the `NormParameters` of an LSTM cell; an empty tuple without layer normalisation."""
    assert isinstance(cell, LSTMCell)
    of_input, of_hidden, of_long_term = cell.input_norm, cell.hidden_norm, cell.long_term_norm
    if isinstance(of_input, nn.Identity) or isinstance(of_hidden, nn.Identity) or isinstance(of_long_term, nn.Identity):
        return ()
    return NormParameters(of_input.weight, cell.bias, of_hidden.weight, of_long_term.weight, of_long_term.bias)
