"""A trained model taken step by step, as a search needs it: several hypotheses a sentence, and no way back.

Shape key: B sentences held, N rows (hypotheses), D rows whose states differ, M rows selected, K most of the D of a
sentence, S source positions, Q decoder state width, L width of what a state looks at, O width of what the softmax
reads, V target pieces.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kotrans.errors import ConfigError
from kotrans.model.decoder import DecoderState
from kotrans.model.incremental.encoder_cache import EncoderCache, RowIndex
from kotrans.model.incremental.packed_weights import PackedDecoder
from kotrans.model.kernels.products import QuantizedMatrix, multiplies_int8
from kotrans.model.lexical import LexicalSoftmax
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.device import multiplies_bf16

PRODUCTS = {"fp32": None, "bf16": torch.bfloat16, "int8": torch.int8}
"""What each `hardware.precision` has a `IncrementalDecoder` multiply in."""


class SearchState(NamedTuple):
    """What a search carries between steps.

    Hypotheses that continue the same one by different pieces have one state: what depends on it alone is computed once.
    """

    sources: EncoderCache  # of the sentences held
    decoder: DecoderState  # of the D rows whose states differ
    places: RowIndex  # of those
    parents: list[int] | None  # for each of the N rows, which of the D its state is; None if each has its own


class IncrementalDecoder:
    """p(y_i | y_<i, x) one step at a time for rows that share their sentences' memory and attention keys.

    The weights are a copy of those that the model had when this was made, laid out for the products of a search.
    """

    def __init__(self, model: Seq2Seq, precision: torch.dtype | None = None) -> None:
        """precision is what products are computed in; None is the model's own.

        States and the scores of attention stay in the model's own, and so do the logits: in bfloat16 they would make
        equals of pieces that are not, and it has no fast tanh. int8 is of the steps; the encoder multiplies in
        bfloat16 then, where the processor does.
        Raises ConfigError for int8 on a processor that does not add its products exactly.
        """
        if precision == torch.int8 and not multiplies_int8():
            raise ConfigError("hardware.precision: int8 is not exact on this processor; take fp32 or bf16")
        self._own = model.softmax.weight.dtype
        self._precision = self._of_encoder = precision or self._own
        if precision == torch.int8:
            self._of_encoder = torch.bfloat16 if multiplies_bf16() else self._own
        self._model = copy.deepcopy(model)
        decoder = self._model.decoder
        # What the steps do not lay out for themselves.
        for part in (decoder.attention, decoder.upper, decoder.lexical):
            if part is not None:
                _lay_out(*part.modules())
        self._steps = PackedDecoder(decoder, self._model.target_embedding.weight, self._precision)
        self._softmax = (_QuantizedSoftmax if self._precision == torch.int8 else _Softmax)(model.softmax)

    @torch.no_grad()
    def start(self, source: Tensor, mask: Tensor) -> SearchState:
        """Encodes source (B, S), mask (B, S) true on real pieces; one row a sentence."""
        own, lower = self._own, self._of_encoder
        with torch.autocast(source.device.type, lower, enabled=lower != own, cache_enabled=False):
            encoded, decoder = self._model.start(source, mask)
        places = RowIndex(range(len(source)), len(source), source.device)
        return SearchState(EncoderCache((encoded.to(own),)), decoder.to(own), places, None)

    @torch.no_grad()
    def step(self, state: SearchState, previous: Tensor) -> tuple[Tensor, SearchState, Tensor | None]:
        """One step after the pieces previous (N,): logits (N, V), the next state, attention weights (N, S) or None."""
        hidden, places = state.decoder.layers[0].hidden, state.places  # (D, Q)
        looked, weights = state.sources.look(self._model.decoder, places.spread(hidden))  # (B, K, L), (B, K, S)
        weights = None if weights is None else places.gather(weights)  # (D, S)
        shared = self._steps.of_state(hidden, places.gather(looked))
        if state.parents is not None:
            parents = torch.tensor(state.parents, device=hidden.device)  # (N,)
            weights = None if weights is None else weights.index_select(0, parents)  # (N, S)
            state, shared = _of_rows(state, state.parents, parents), shared.select(parents)
        output, after = self._steps(state.decoder, shared, previous)  # (N, O)
        return self._softmax(output), state._replace(decoder=after), weights

    def select(self, state: SearchState, rows: Tensor) -> SearchState:
        """The state of the given rows (M,) on the CPU, in their order.

        Sentences without a row leave when a quarter of those held has none: each time what is left is copied.
        """
        if state.parents is not None:
            rows = torch.tensor(state.parents)[rows]
        sources, held, device = state.sources, state.places.held, state.decoder.layers[0].hidden.device
        among: dict[int, int] = {}
        parents = [among.setdefault(row, len(among)) for row in rows.tolist()]
        sentences = [state.places.sentences[row] for row in among]
        kept = sorted(set(sentences))
        if 4 * len(kept) <= 3 * held:
            sources, held = sources.select(kept), len(kept)
            number = {sentence: i for i, sentence in enumerate(kept)}
            sentences = [number[sentence] for sentence in sentences]
        decoder = state.decoder.select(torch.tensor(list(among), dtype=torch.long, device=device))
        own = len(among) == len(parents)
        return SearchState(sources, decoder, RowIndex(sentences, held, device), None if own else parents)

    def join(self, state: SearchState, started: SearchState) -> SearchState:
        """The state of the rows of both: behind the others those of `started`, which took no step yet."""
        old, new = state.places, started.places
        sources, order = state.sources.join(started.sources)
        number = {sentence: i for i, sentence in enumerate(order)}
        sentences = [number[i] for i in (*old.sentences, *(old.held + sentence for sentence in new.sentences))]
        parents = state.parents
        if parents is not None:
            parents = [*parents, *range(len(old.sentences), len(sentences))]
        decoder = state.decoder.join(started.decoder)
        places = RowIndex(sentences, len(order), decoder.layers[0].hidden.device)
        return SearchState(sources, decoder, places, parents)


class _Softmax:
    """The logits (N, V) of what the softmax reads (N, O), in the model's own precision."""

    def __init__(self, softmax: nn.Linear | LexicalSoftmax) -> None:
        # The bias is one row more: an output of 1 multiplies it, and no pass over the logits adds it.
        weight = torch.cat([softmax.weight, softmax.bias.unsqueeze(1)], dim=1)  # (V, O+1)
        self._weight = weight.detach().t().contiguous()  # (O+1, V)

    def __call__(self, output: Tensor) -> Tensor:
        output = torch.cat([output, output.new_ones(len(output), 1)], dim=1)  # (N, O+1)
        return output @ self._weight


class _QuantizedSoftmax:
    """The same from products in int8."""

    def __init__(self, softmax: nn.Linear | LexicalSoftmax) -> None:
        self._weight = QuantizedMatrix(softmax.weight.detach())
        self._bias = softmax.bias.detach().float()

    def __call__(self, output: Tensor) -> Tensor:
        return self._weight.product(output, self._bias)


def _of_rows(state: SearchState, parents: Sequence[int], index: Tensor) -> SearchState:
    """The state with one of its own for each row, of its parent; parents and index (N,) are the same numbers."""
    places = state.places
    sentences = [places.sentences[parent] for parent in parents]
    return SearchState(
        state.sources, state.decoder.select(index), RowIndex(sentences, places.held, index.device), parents=None
    )


def _lay_out(*modules: nn.Module) -> None:
    """Stores the float32 matrices of the modules by columns: products of few rows with them read memory as it lies."""
    for module in modules:
        for weight in module.parameters(recurse=False):
            if weight.dim() == 2 and weight.dtype == torch.float32 and not isinstance(module, nn.RNNBase):
                weight.data = weight.data.t().contiguous().t()
