"""The recurrent decoder with attention.

Shape key: B sentences, S source positions, T target steps, K decoder states per sentence, E embedding width, H memory
width, Q decoder state width, G width of the gates, D width of the encoder state that makes s_0, L width of what a step
reads from the source: the context (H), followed by the lexical vector (E) if there is a lexical model. O width of the
softmax input: the deep output (E), followed by the lexical vector (E).
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.attention import Attention
from kotrans.model.cells import CELLS, CellState
from kotrans.model.dropout import Dropout
from kotrans.model.encoder import EncoderOutput, recurrence
from kotrans.model.kernels.bptt_functions import attend, has_backward_pass, recur
from kotrans.model.kernels.products import Linear
from kotrans.model.lexical import LexicalModel


class EncodedSource(NamedTuple):
    """An encoded source as the decoder reads it: memory with attention keys, or one fixed context."""

    memory: Tensor | None  # (B, S, H)
    keys: Tensor | None  # (B, S, A)
    mask: Tensor  # (B, S)
    fixed_context: Tensor | None  # (B, H)
    embedded: Tensor | None  # (B, S, E) for a lexical model

    def select(self, rows: Tensor) -> Self:
        """Returns the sources of `rows`, in that order."""
        parts = {name: part.index_select(0, rows) for name, part in self._asdict().items() if part is not None}
        return self._replace(**parts)

    def to(self, dtype: torch.dtype) -> Self:
        """Returns the sources in another dtype."""
        floats = {name: part for name, part in self._asdict().items() if part is not None and part.is_floating_point()}
        return self._replace(**{name: part.to(dtype) for name, part in floats.items()})


class DecoderState(NamedTuple):
    """s_i of every layer."""

    layers: tuple[CellState, ...]

    def select(self, rows: Tensor) -> Self:
        """Returns the states of `rows`, in that order."""
        return type(self)(tuple(layer.select(rows) for layer in self.layers))

    def join(self, other: Self) -> Self:
        """Returns the rows of both states, those of `other` last."""
        return type(self)(tuple(layer.join(new) for layer, new in zip(self.layers, other.layers, strict=True)))

    def to(self, dtype: torch.dtype) -> Self:
        """Returns the states in another dtype."""
        return type(self)(tuple(layer.to(dtype) for layer in self.layers))


class FirstLayer(NamedTuple):
    """Results of the first layer, which attends."""

    hidden: Tensor  # (B, T, Q) s_1 … s_T
    contexts: Tensor  # (B, T, H) c_1 … c_T
    weights: Tensor | None  # (B, T, S) α_1 … α_T
    last: CellState


class Decoder(nn.Module):
    """Recurrent decoder with attention and deep output (Bahdanau et al. 2015, appendices A.2.2 and A.2.3).

    Equations, with f the cell and c_i from the attention over s_{i-1}:
        initial state  s_0 = tanh(W_0 hb_1 + b_0), with hb_1 the backward encoder state at position 1
        state          s_i = f(s_{i-1}, [y_{i-1} ; c_i])
        deep output    t_i = tanh(U_o s_i + V_o y_{i-1} + C_o c_i + b_o)
        prediction     p(y_i | y_<i, x) = softmax(W_o t_i + b), computed by `Seq2Seq`

    With several layers, attention reads the state of the first layer and c_i enters the first layer; each layer above
    is recurrent and adds its state to its input. With `attention.score: none` c_i is the same for all i.
    A lexical model appends its vector to t_i.
    """

    def __init__(
        self, cell: str, attention: Attention | None, lexical: LexicalModel | None, *, embedding_size: int,
        memory_size: int, initial_size: int, hidden_size: int, layers: int, output_size: int, layer_norm: bool,
        dropout: float, recurrent_dropout: float, output_dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.plain = False  # if true, autograd differentiates the loop instead of the hand-written backward pass
        self.embedding_size = embedding_size
        self.attention = attention
        self.lexical = lexical
        self.memory_size = memory_size
        self.cell = CELLS[cell](embedding_size + memory_size, hidden_size, layer_norm=layer_norm)
        self.upper = nn.ModuleList(
            recurrence(cell, hidden_size, hidden_size, layer_norm=layer_norm, dropout=recurrent_dropout)
            for _ in range(layers - 1)
        )
        self.bridges = nn.ModuleList(nn.Linear(initial_size, hidden_size) for _ in range(layers))  # W_0, b_0
        self.deep_output = Linear(hidden_size + embedding_size + memory_size, output_size)  # [U_o, V_o, C_o], b_o
        self.dropout = Dropout(dropout)
        self.recurrent_dropout = Dropout(recurrent_dropout)
        self.output_dropout = Dropout(output_dropout)

    def start(self, encoded: EncoderOutput) -> tuple[EncodedSource, DecoderState]:
        """Returns the source as every step reads it, and s_0 of every layer; C_0 of an LSTM is 0."""
        states = tuple(self.cell.initial(torch.tanh(bridge(encoded.initial))) for bridge in self.bridges)  # (B, Q)
        if self.attention is None:
            return EncodedSource(None, None, encoded.mask, encoded.final, None), DecoderState(states)
        keys = self.attention.keys(encoded.memory)  # (B, S, A)
        embedded = None if self.lexical is None else encoded.embedded
        return EncodedSource(encoded.memory, keys, encoded.mask, None, embedded), DecoderState(states)

    def attend(self, source: EncodedSource, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns what a step reads from the source (B, K, L) and α_i (B, K, S) for s_{i-1} in queries (B, K, Q).

        A search has one query per hypothesis of a sentence. Without attention there are no weights.
        """
        contexts, weights = self._contexts(source, queries)
        return self._with_lexical(source, contexts, weights), weights

    def _contexts(self, source: EncodedSource, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns c_i (B, K, H) and α_i (B, K, S) for s_{i-1} in queries (B, K, Q)."""
        if self.attention is None:
            assert source.fixed_context is not None
            return source.fixed_context.unsqueeze(1).expand(-1, queries.size(1), -1), None
        assert source.keys is not None
        assert source.memory is not None
        return self.attention(queries, source.keys, source.memory, source.mask)

    def _with_lexical(self, source: EncodedSource, contexts: Tensor, weights: Tensor | None) -> Tensor:
        """Returns contexts (B, K, H), followed by the lexical vectors of weights (B, K, S): (B, K, L)."""
        if self.lexical is None:
            return contexts
        assert source.embedded is not None
        assert weights is not None
        return torch.cat([contexts, self.lexical(weights, source.embedded).to(contexts.dtype)], dim=-1)

    def step(self, state: DecoderState, embedded: Tensor, read: Tensor) -> tuple[Tensor, DecoderState]:
        """Computes one step from y_{i-1} in embedded (B, E) and read (B, L), the result of `look`.

        Returns the softmax input (B, O) and the next state.
        """
        inputs = torch.cat([embedded, read[:, : self.memory_size]], dim=-1)  # (B, E+H)
        first = self.cell(self.cell.project(inputs), state.layers[0])
        hidden, upper = self.run_upper(first.hidden.unsqueeze(1), state)  # (B, 1, Q)
        return self._output(hidden.squeeze(1), embedded, read), DecoderState((first, *upper))

    def forward(
        self, source: EncodedSource, state: DecoderState, embedded: Tensor
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Computes all steps of teacher forcing from y_0 … y_{T-1} in embedded (B, T, E).

        Returns the softmax input (B, T, O), the last state, and α (B, T, S) or None without attention.
        """
        mask = self.recurrent_dropout.sentence_mask(state.layers[0].hidden)  # (B, Q)
        by_hand = torch.is_grad_enabled() and not self.plain and has_backward_pass(self.cell, self.attention)
        first_layer = self._by_hand if by_hand else self._by_steps
        hidden, contexts, weights, first = first_layer(source, state.layers[0], embedded, mask)
        hidden, upper = self.run_upper(hidden, state)  # (B, T, Q)
        output = self._output(hidden, embedded, self._with_lexical(source, contexts, weights))  # (B, T, O)
        return output, DecoderState((first, *upper)), weights

    def _by_steps(self, source: EncodedSource, state: CellState, embedded: Tensor, mask: Tensor | None) -> FirstLayer:
        """Computes the first layer by its definition; autograd differentiates it."""
        projected = self.cell.project(embedded)  # (B, T, G)
        # Sliced and cast once: in the loop, the gradient of the slice would be a whole matrix per step.
        columns = self.cell.weight_input[:, self.embedding_size :].to(projected.dtype)  # (G, H)
        hiddens, contexts, weights = [], [], []
        for step in projected.unbind(1):
            context, weight = self._contexts(source, state.hidden.unsqueeze(1))  # (B, 1, H), (B, 1, S)
            state = self.cell(step + functional.linear(context.squeeze(1), columns), state, mask)
            hiddens.append(state.hidden)
            contexts.append(context)
            if weight is not None:
                weights.append(weight)
        return FirstLayer(
            torch.stack(hiddens, dim=1), torch.cat(contexts, dim=1), torch.cat(weights, dim=1) if weights else None,
            state,
        )  # fmt: skip

    def _by_hand(self, source: EncodedSource, state: CellState, embedded: Tensor, mask: Tensor | None) -> FirstLayer:
        """Computes the first layer for training, with the hand-written backward pass."""
        of_context = self.cell.weight_input[:, self.embedding_size :]  # (G, H)
        projected = self.cell.project_all(embedded.transpose(0, 1))  # (T, B, G)
        if self.attention is None:
            assert source.fixed_context is not None
            hidden, last = recur(
                self.cell, projected + functional.linear(source.fixed_context, of_context), state, mask
            )
            contexts = source.fixed_context.unsqueeze(1).expand(-1, len(projected), -1)  # (B, T, H)
            return FirstLayer(hidden.transpose(0, 1), contexts, None, last)
        assert source.keys is not None
        assert source.memory is not None
        hidden, contexts, weights, last = attend(
            self.cell, self.attention, projected, state, source.keys, source.memory, source.mask, of_context, mask
        )
        return FirstLayer(hidden.transpose(0, 1), contexts.transpose(0, 1), weights.transpose(0, 1), last)

    def run_upper(self, hidden: Tensor, state: DecoderState) -> tuple[Tensor, list[CellState]]:
        """Runs the layers above the first, each adding to hidden (B, T, Q); returns it and their last states."""
        last = []
        for layer, start in zip(self.upper, state.layers[1:], strict=True):
            states, end = layer(self.dropout(hidden), start)  # (B, T, Q)
            hidden = hidden + states
            last.append(end)
        return hidden, last

    def _output(self, hidden: Tensor, embedded: Tensor, read: Tensor) -> Tensor:
        """Returns the softmax input (..., O) of hidden (..., Q), embedded (..., E) and read (..., L)."""
        contexts, lexical = read[..., : self.memory_size], read[..., self.memory_size :]
        parts = torch.cat([hidden, embedded.to(hidden.dtype), contexts.to(hidden.dtype)], dim=-1)  # (..., Q+E+H)
        deep = self.output_dropout(torch.tanh(self.deep_output(parts)))  # (..., E) t_i
        return deep if self.lexical is None else torch.cat([deep, lexical.to(deep.dtype)], dim=-1)
