"""A trained model one step at a time, for search: several hypotheses per sentence, no gradients.

Shape key: B sentences, S source positions, N rows (hypotheses), D distinct decoder states of the rows, M rows selected,
K most distinct states of one sentence, Q decoder state width, L width of what a step reads from the source, O width of
the softmax input, V target pieces.
"""

import copy
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
"""The `precision` of an `IncrementalDecoder` for each value of `hardware.precision`."""
_GROUP_SIZE = 8  # sentences; smaller groups have slow products, larger ones more padding


class SearchState(NamedTuple):
    """The state of a search between two steps.

    Rows that continue the same hypothesis share one decoder state, so that its products are computed once.
    """

    sources: EncoderCache  # of B sentences
    decoder: DecoderState  # of the D distinct states
    rows: RowIndex  # of the D distinct states
    parents: list[int] | None  # (N,) the distinct state of each row; None if each row has its own


class IncrementalDecoder:
    """Computes p(y_i | y_<i, x) one step at a time; rows of a sentence share its memory and attention keys.

    Shares the weights of the model, except for packed copies of those that every step multiplies. Do not change the
    weights of the model while it is in use.
    """

    def __init__(self, model: Seq2Seq, precision: torch.dtype | None = None, group_size: int = _GROUP_SIZE) -> None:
        """precision: dtype of the matrix products; default: that of the model.

        Decoder states, attention scores and logits keep the dtype of the model: bfloat16 logits would make different
        pieces equal, and bfloat16 has no fast tanh. With int8 the encoder multiplies in bfloat16 where the processor
        supports it. Raises ConfigError if int8 products are not exact on this processor.
        """
        if precision == torch.int8 and not multiplies_int8():
            raise ConfigError("hardware.precision: int8 is not exact on this processor; use fp32 or bf16")
        self._dtype = model.target_embedding.weight.dtype
        self._precision = self._encoder_precision = precision or self._dtype
        if precision == torch.int8:
            self._encoder_precision = torch.bfloat16 if multiplies_bf16() else self._dtype
        self._group_size = group_size
        # Copies the modules, not the weights: parameters found in the memo are shared.
        self._model = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
        decoder = self._model.decoder
        for part in (decoder.attention, decoder.upper, decoder.lexical):  # PackedDecoder packs the others
            if part is not None:
                _store_by_columns(part)
        self._steps = PackedDecoder(decoder, self._model.target_embedding.weight, self._precision)
        self._softmax = (_QuantizedSoftmax if self._precision == torch.int8 else _Softmax)(model.softmax)

    @torch.no_grad()
    def start(self, source: Tensor, mask: Tensor) -> SearchState:
        """Encodes source (B, S), mask (B, S) true on real pieces; returns a state of one row per sentence."""
        own, lower = self._dtype, self._encoder_precision
        with torch.autocast(source.device.type, lower, enabled=lower != own, cache_enabled=False):
            encoded, decoder = self._model.start(source, mask)
        index = RowIndex(range(len(source)), len(source), source.device)
        return SearchState(EncoderCache((encoded.to(own),)), decoder.to(own), index, None)

    @torch.no_grad()
    def step(self, state: SearchState, previous: Tensor) -> tuple[Tensor, SearchState, Tensor | None]:
        """Returns logits (N, V) after the pieces previous (N,), the next state, attention weights (N, S) or None."""
        hidden, index = state.decoder.layers[0].hidden, state.rows  # (D, Q)
        read, weights = state.sources.attend(self._model.decoder, index.to_grid(hidden))  # (B, K, L), (B, K, S)
        weights = None if weights is None else index.from_grid(weights)  # (D, S)
        products = self._steps.state_products(hidden, index.from_grid(read))
        if state.parents is not None:
            parents = torch.tensor(state.parents, device=hidden.device)  # (N,)
            weights = None if weights is None else weights.index_select(0, parents)  # (N, S)
            state, products = _one_state_per_row(state, parents), products.select(parents)
        output, after = self._steps(state.decoder, products, previous)  # (N, O)
        return self._softmax(output), state._replace(decoder=after), weights

    def select(self, state: SearchState, rows: Tensor) -> SearchState:
        """Returns the state of `rows` (M,), a tensor on the CPU, in that order.

        Sentences without a row are removed only when they are at least a quarter of all: removing copies the others.
        """
        if state.parents is not None:
            rows = torch.tensor(state.parents)[rows]
        sources, count, device = state.sources, state.rows.count, state.decoder.layers[0].hidden.device
        numbers: dict[int, int] = {}  # new number of each distinct state
        parents = [numbers.setdefault(row, len(numbers)) for row in rows.tolist()]
        sentences = [state.rows.sentences[row] for row in numbers]
        kept = sorted(set(sentences))
        if 4 * len(kept) <= 3 * count:
            sources, count = sources.select(kept), len(kept)
            number = {sentence: i for i, sentence in enumerate(kept)}
            sentences = [number[sentence] for sentence in sentences]
        decoder = state.decoder.select(torch.tensor(list(numbers), dtype=torch.long, device=device))
        distinct = len(numbers) == len(parents)
        return SearchState(sources, decoder, RowIndex(sentences, count, device), None if distinct else parents)

    def join(self, state: SearchState, started: SearchState) -> SearchState:
        """Returns the state of the rows of both, those of `started`, a result of `start`, last."""
        old, new = state.rows, started.rows
        sources, order = state.sources.join(started.sources, self._group_size)
        number = {sentence: i for i, sentence in enumerate(order)}
        sentences = [number[i] for i in (*old.sentences, *(old.count + sentence for sentence in new.sentences))]
        parents = state.parents
        if parents is not None:
            parents = [*parents, *range(len(old.sentences), len(sentences))]
        decoder = state.decoder.join(started.decoder)
        index = RowIndex(sentences, len(order), decoder.layers[0].hidden.device)
        return SearchState(sources, decoder, index, parents)


class _Softmax:
    """Logits (N, V) of the softmax input (N, O), in the dtype of the model."""

    def __init__(self, softmax: nn.Linear | LexicalSoftmax) -> None:
        # The bias is one more row, multiplied by 1, which saves a pass over the logits.
        weight = torch.cat([softmax.weight, softmax.bias.unsqueeze(1)], dim=1)  # (V, O+1)
        self._weight = weight.detach().t().contiguous()  # (O+1, V)

    def __call__(self, output: Tensor) -> Tensor:
        output = torch.cat([output, output.new_ones(len(output), 1)], dim=1)  # (N, O+1)
        return output @ self._weight


class _QuantizedSoftmax:
    """Logits (N, V) of the softmax input (N, O), from int8 products."""

    def __init__(self, softmax: nn.Linear | LexicalSoftmax) -> None:
        self._weight = QuantizedMatrix(softmax.weight.detach())
        self._bias = softmax.bias.detach().float()

    def __call__(self, output: Tensor) -> Tensor:
        return self._weight.product(output, self._bias)


def _one_state_per_row(state: SearchState, parents: Tensor) -> SearchState:
    """Returns the state with a copy of its decoder state for each row; parents (N,) as in `SearchState`."""
    index = state.rows
    sentences = [index.sentences[parent] for parent in state.parents or ()]
    return SearchState(
        state.sources, state.decoder.select(parents), RowIndex(sentences, index.count, parents.device), parents=None
    )


def _store_by_columns(part: nn.Module) -> None:
    """Replaces float32 matrices by copies stored by columns, which products with few rows read in order."""
    for module in part.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() == 2 and weight.dtype == torch.float32 and not isinstance(module, nn.RNNBase):
                setattr(module, name, nn.Parameter(weight.detach().t().contiguous().t(), requires_grad=False))
