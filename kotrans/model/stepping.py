"""A trained model taken step by step, as a search needs it: several hypotheses a sentence, and no way back.

Shape key: B sentences held, K most rows of a sentence, N rows (hypotheses), M rows selected, S source positions,
A a width, V target pieces.
"""

import copy
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from kotrans.model.decoder import DecoderState, Source
from kotrans.model.seq2seq import Seq2Seq


class Places(NamedTuple):
    """Which sentence each row belongs to, so that what belongs to the sentence is held once and never copied.

    Rows stand in a grid (B, K) where they meet their sentence; a sentence of fewer rows leaves places empty.
    """

    sentences: Tensor  # (N,) on the CPU
    held: int  # B
    width: int  # K
    slots: Tensor | None  # (N,) place of each row in the grid read row by row; None if the rows are the grid

    @classmethod
    def of(cls, sentences: Tensor, held: int, device: torch.device) -> Self:
        """The places of rows of these sentences (N,), in any order, on a device."""
        counts = sentences.bincount(minlength=held)  # (B,)
        width = int(counts.max()) if held else 0
        if torch.equal(sentences, torch.arange(held).repeat_interleave(width)):
            return cls(sentences, held, width, None)
        order = sentences.argsort(stable=True)  # (N,)
        first = counts.cumsum(0) - counts  # (B,)
        slots = torch.empty_like(sentences)
        ordered = sentences[order]
        slots[order] = ordered * width + torch.arange(len(order)) - first[ordered]
        return cls(sentences, held, width, slots.to(device))

    def spread(self, rows: Tensor) -> Tensor:
        """The grid (B, K, A) of rows (N, A), zeros in empty places."""
        if self.slots is not None:
            rows = rows.new_zeros(self.held * self.width, rows.size(1)).index_copy_(0, self.slots, rows)
        return rows.view(self.held, self.width, rows.size(1))

    def gather(self, grid: Tensor) -> Tensor:
        """The rows (N, A) of a grid (B, K, A)."""
        rows = grid.flatten(0, 1)
        return rows if self.slots is None else rows.index_select(0, self.slots)


class SearchState(NamedTuple):
    """What a search carries between steps."""

    source: Source  # of the sentences held
    decoder: DecoderState  # of the rows
    places: Places


class SearchModel:
    """p(y_i | y_<i, x) one step at a time for rows that share their sentences' memory and attention keys.

    The weights are a copy of those that the model had when this was made, laid out for the products of a search.
    """

    def __init__(self, model: Seq2Seq, precision: torch.dtype | None = None) -> None:
        """precision is what products are computed in; None is the model's own.

        The scores of attention and the softmax stay in the model's own: logits in bfloat16 would make equals of pieces
        that are not, and it has no fast tanh.
        """
        self._own = model.softmax.weight.dtype
        self._softmax = copy.deepcopy(model.softmax)
        self._model = copy.deepcopy(model).to(precision or self._own)
        decoder = self._model.decoder
        _lay_out(self._softmax, *decoder.modules())

    @torch.no_grad()
    def start(self, source: Tensor, mask: Tensor) -> SearchState:
        """Encodes source (B, S), mask (B, S) true on real pieces; one row a sentence."""
        encoded, decoder = self._model.start(source, mask)
        if encoded.keys is not None:
            encoded = encoded._replace(keys=encoded.keys.to(self._own))
        return SearchState(encoded, decoder, Places.of(torch.arange(len(source)), len(source), source.device))

    @torch.no_grad()
    def step(self, state: SearchState, previous: Tensor) -> tuple[Tensor, SearchState, Tensor | None]:
        """One step after the pieces previous (N,): logits (N, V), the next state, attention weights (N, S) or None."""
        decoder, places = self._model.decoder, state.places
        embedded = self._model.target_embedding(previous)  # (N, E)
        context, weights = self._look(state)
        output, after = decoder.step(state.decoder, embedded, context)  # (N, O)
        logits = self._softmax(output.to(self._own))  # (N, V)
        return logits, state._replace(decoder=after), None if weights is None else places.gather(weights)

    def select(self, state: SearchState, rows: Tensor) -> SearchState:
        """The state of the given rows (M,) on the CPU, in their order.

        Sentences without a row leave when a quarter of those held has none: each time what is left is copied.
        """
        source, places = state.source, state.places
        sentences, held = places.sentences[rows], places.held  # (M,)
        kept, among_kept = sentences.unique(return_inverse=True)
        if 4 * len(kept) <= 3 * held:
            source = source.select(kept.to(source.mask.device))
            sentences, held = among_kept, len(kept)
        device = source.mask.device
        return SearchState(source, state.decoder.select(rows.to(device)), Places.of(sentences, held, device))

    def _look(self, state: SearchState) -> tuple[Tensor, Tensor | None]:
        """The context (N, H) that each row's step reads, and attention weights (B, K, S) or None."""
        queries = state.places.spread(state.decoder.layers[0].hidden)  # (B, K, Q)
        contexts, weights = self._model.decoder.look(state.source, queries)  # (B, K, H)
        return state.places.gather(contexts), weights


def _lay_out(*modules: nn.Module) -> None:
    """Stores the float32 matrices of the modules by columns: products of few rows with them read memory as it lies."""
    for module in modules:
        for weight in module.parameters(recurse=False):
            if weight.dim() == 2 and weight.dtype == torch.float32 and not isinstance(module, nn.RNNBase):
                weight.data = weight.data.t().contiguous().t()
