"""The recurrent decoder with attention.

Shape key: B sentences, S source positions, T target steps, E embedding width, H memory width, Q decoder state width,
D width of the encoder state that makes s_0, O width of what the softmax reads: the deep output, and behind it E
numbers of the lexical model if there is one. L is H, and E more if there is one.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.attention import Attention
from kotrans.model.cells import CELLS, CellState
from kotrans.model.dropout import Dropout
from kotrans.model.encoder import Encoded, recurrence
from kotrans.model.kernels.bptt_functions import attend, recur
from kotrans.model.kernels.products import Linear
from kotrans.model.lexical import Lexical


class EncodedSource(NamedTuple):
    """An encoded source with its attention keys; with a fixed context there are no keys and no memory."""

    memory: Tensor | None  # (B, S, H)
    keys: Tensor | None  # (B, S, A)
    mask: Tensor  # (B, S)
    fixed_context: Tensor | None  # (B, H)
    embedded: Tensor | None  # (B, S, E) only for a lexical model

    def select(self, rows: Tensor) -> Self:
        """The sources of the given rows, in their order."""
        parts = {name: part.index_select(0, rows) for name, part in self._asdict().items() if part is not None}
        return self._replace(**parts)

    def to(self, dtype: torch.dtype) -> Self:
        """The same in another precision."""
        floats = {name: part for name, part in self._asdict().items() if part is not None and part.is_floating_point()}
        return self._replace(**{name: part.to(dtype) for name, part in floats.items()})


class DecoderState(NamedTuple):
    """s_i of every layer."""

    layers: tuple[CellState, ...]

    def select(self, rows: Tensor) -> Self:
        """The states of the given rows, in their order."""
        return type(self)(tuple(layer.select(rows) for layer in self.layers))

    def join(self, other: Self) -> Self:
        """The states of both."""
        return type(self)(tuple(layer.join(new) for layer, new in zip(self.layers, other.layers, strict=True)))

    def to(self, dtype: torch.dtype) -> Self:
        """The same in another precision."""
        return type(self)(tuple(layer.to(dtype) for layer in self.layers))


class FirstLayer(NamedTuple):
    """What the layer that attends gives."""

    hidden: Tensor  # (B, T, Q) s_1 … s_T
    contexts: Tensor  # (B, T, H) c_1 … c_T
    weights: Tensor | None  # (B, T, S)
    last: CellState


class Decoder(nn.Module):
    """s_i = f(s_{i-1}, y_{i-1}, c_i) with c_i from attention over s_{i-1}  (Bahdanau et al. 2015, appendix A.2.2).

    Attention reads the first layer's s_{i-1} and c_i enters the first layer; the layers above are residual and
    recurrent. The output reads s_i, y_{i-1} and c_i through one hidden layer (deep output):
    t_i = tanh(U s_i + V y_{i-1} + C c_i + b). Behind it stands what a lexical model says of the pieces looked at.
    """

    def __init__(
        self, cell: str, attention: Attention | None, lexical: Lexical | None, *, embedding_size: int,
        memory_size: int, first_size: int, hidden_size: int, layers: int, output_size: int, layer_norm: bool,
        dropout: float, recurrent_dropout: float, output_dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.plain = False  # true: train by the plain steps, too
        self.embedding_size = embedding_size
        self.attention = attention
        self.lexical = lexical
        self.memory_size = memory_size
        self.cell = CELLS[cell](embedding_size + memory_size, hidden_size, layer_norm=layer_norm)
        self.upper = nn.ModuleList(
            recurrence(cell, hidden_size, hidden_size, layer_norm=layer_norm, dropout=recurrent_dropout)
            for _ in range(layers - 1)
        )
        self.bridges = nn.ModuleList(nn.Linear(first_size, hidden_size) for _ in range(layers))
        self.deep_output = Linear(hidden_size + embedding_size + memory_size, output_size)
        self.dropout = Dropout(dropout)
        self.recurrent_dropout = Dropout(recurrent_dropout)
        self.output_dropout = Dropout(output_dropout)

    def start(self, encoded: Encoded) -> tuple[EncodedSource, DecoderState]:
        """What each step reads of the source, and s_0 = tanh(W first + b) of every layer (an LSTM's C_0 is 0)."""
        states = tuple(self.cell.initial(torch.tanh(bridge(encoded.first))) for bridge in self.bridges)
        if self.attention is None:
            return EncodedSource(None, None, encoded.mask, encoded.final, None), DecoderState(states)
        keys = self.attention.keys(encoded.memory)  # (B, S, A)
        embedded = None if self.lexical is None else encoded.embedded
        return EncodedSource(encoded.memory, keys, encoded.mask, None, embedded), DecoderState(states)

    def look(self, source: EncodedSource, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """What a step reads (B, K, L) for s_{i-1} in queries (B, K, Q), and its weights (B, K, S).

        That is c_i, and behind it what the lexical model makes of the weights, if there is one. A search has as many
        states s_{i-1} as there are hypotheses of a sentence. The fixed context has no weights.
        """
        contexts, weights = self._attend(source, queries)
        return self._with_lexical(source, contexts, weights), weights

    def _attend(self, source: EncodedSource, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """c_i (B, K, H) for s_{i-1} in queries (B, K, Q), and its weights (B, K, S)."""
        if self.attention is None:
            assert source.fixed_context is not None
            return source.fixed_context.unsqueeze(1).expand(-1, queries.size(1), -1), None
        assert source.keys is not None
        assert source.memory is not None
        return self.attention(queries, source.keys, source.memory, source.mask)

    def _with_lexical(self, source: EncodedSource, contexts: Tensor, weights: Tensor | None) -> Tensor:
        """(B, K, L) of contexts (B, K, H) and the weights (B, K, S) that made them."""
        if self.lexical is None:
            return contexts
        assert source.embedded is not None
        assert weights is not None
        return torch.cat([contexts, self.lexical(weights, source.embedded).to(contexts.dtype)], dim=-1)

    def step(self, state: DecoderState, embedded: Tensor, looked: Tensor) -> tuple[Tensor, DecoderState]:
        """One step by itself: what the softmax reads (B, O) from embedded (B, E) and looked (B, L), the next state."""
        inputs = torch.cat([embedded, looked[:, : self.memory_size]], dim=-1)
        first = self.cell(self.cell.project(inputs), state.layers[0])
        hidden, upper = self.climb(first.hidden.unsqueeze(1), state)  # (B, 1, Q)
        return self._output(hidden.squeeze(1), embedded, looked), DecoderState((first, *upper))

    def forward(
        self, source: EncodedSource, state: DecoderState, embedded: Tensor
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Runs over embedded (B, T, E) = y_0 … y_{T-1}.

        Returns what the softmax reads (B, T, O), the last state, and the weights (B, T, S).
        """
        mask = self.recurrent_dropout.sentence_mask(state.layers[0].hidden)  # (B, Q)
        by_hand = torch.is_grad_enabled() and not self.plain
        first_layer = self._by_hand if by_hand else self._by_steps
        hidden, contexts, weights, first = first_layer(source, state.layers[0], embedded, mask)
        hidden, upper = self.climb(hidden, state)
        output = self._output(hidden, embedded, self._with_lexical(source, contexts, weights))  # (B, T, O)
        return output, DecoderState((first, *upper)), weights

    def _by_steps(self, source: EncodedSource, state: CellState, embedded: Tensor, mask: Tensor | None) -> FirstLayer:
        """The readable definition."""
        projected = self.cell.project(embedded)  # (B, T, G*Q)
        # Cut out and cast once: in the loop, the gradient of a slice would be a whole matrix at each step.
        columns = self.cell.weight_input[:, self.embedding_size :].to(projected.dtype)  # (G*Q, H)
        hiddens, contexts, weights = [], [], []
        for step in projected.unbind(1):
            looked, weight = self._attend(source, state.hidden.unsqueeze(1))  # (B, 1, H), (B, 1, S)
            context = looked.squeeze(1)
            state = self.cell(step + functional.linear(context, columns), state, mask)
            hiddens.append(state.hidden)
            contexts.append(context)
            if weight is not None:
                weights.append(weight.squeeze(1))
        return FirstLayer(
            torch.stack(hiddens, dim=1), torch.stack(contexts, dim=1),
            torch.stack(weights, dim=1) if weights else None, state,
        )  # fmt: skip

    def _by_hand(self, source: EncodedSource, state: CellState, embedded: Tensor, mask: Tensor | None) -> FirstLayer:
        """The same for training, where the way back is long: several times less work than a graph of small steps."""
        of_context = self.cell.weight_input[:, self.embedding_size :]  # (G*Q, H)
        projected = self.cell.project_all(embedded.transpose(0, 1))  # (T, B, G*Q)
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

    def climb(self, hidden: Tensor, state: DecoderState) -> tuple[Tensor, list[CellState]]:
        """The layers above the first, each adding to hidden (B, T, Q), and their last states."""
        last = []
        for layer, start in zip(self.upper, state.layers[1:], strict=True):
            states, end = layer(self.dropout(hidden), start)  # (B, T, Q)
            hidden = hidden + states
            last.append(end)
        return hidden, last

    def _output(self, hidden: Tensor, embedded: Tensor, looked: Tensor) -> Tensor:
        """(..., O) of hidden (..., Q), embedded (..., E) and looked (..., L)."""
        contexts, lexical = looked[..., : self.memory_size], looked[..., self.memory_size :]
        parts = torch.cat([hidden, embedded.to(hidden.dtype), contexts.to(hidden.dtype)], dim=-1)  # (..., Q+E+H)
        deep = self.output_dropout(torch.tanh(self.deep_output(parts)))
        return deep if self.lexical is None else torch.cat([deep, lexical.to(deep.dtype)], dim=-1)
