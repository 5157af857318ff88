"""The engine for GPUs, and for models that the engine for CPUs does not support: a `Stepper` that runs PyTorch modules.

Shape key: B sentences, S source positions, N rows (hypotheses), D distinct decoder states of the rows, M rows selected,
K most distinct states of one sentence, Q decoder state width, L width of what a step reads from the source, V target
pieces, k pieces per row.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kotrans.engine.torch_encoder_cache import EncoderCache, RowIndex
from kotrans.engine.torch_topk import Floats, Ints, most_probable
from kotrans.model.decoder import DecoderState
from kotrans.model.seq2seq import Seq2Seq

_GROUP_SIZE = 8  # sentences; smaller groups have slow products, larger ones more padding


class SearchState(NamedTuple):
    """The state of one model in a search between two steps.

    Rows that continue the same hypothesis share one decoder state, so that attention is computed once for them.
    """

    sources: EncoderCache  # of B sentences
    decoder: DecoderState  # of the D distinct states
    rows: RowIndex  # of the D distinct states
    parents: list[int]  # (N,) the distinct state of each row


class TorchEngine:
    """Steps of one model or of an ensemble, without gradients.

    Equation for an ensemble of M models: p(y_i | y_<i, x) = 1/M Σ_m p_m(y_i | y_<i, x)

    Attention weights are the mean over the models with attention. Do not change the weights of the models while the
    engine is in use.
    """

    def __init__(
        self, models: Sequence[Seq2Seq], precision: torch.dtype | None = None, group_size: int = _GROUP_SIZE
    ) -> None:
        """precision: dtype of the matrix products (default: that of the model). group_size: see `EncoderCache.join`."""
        self._members = [_Member(model.eval(), precision, group_size) for model in models]
        self.device = models[0].target_embedding.weight.device

    @torch.no_grad()
    def start(self, source: Ints, mask: np.ndarray) -> list[SearchState]:
        """Implements `Stepper.start`."""
        arrays = torch.from_numpy(source).to(self.device), torch.from_numpy(mask).to(self.device)
        return [member.start(*arrays) for member in self._members]

    @torch.no_grad()
    def step(
        self, state: list[SearchState], previous: Ints, k: int
    ) -> tuple[Floats, Ints, list[SearchState], np.ndarray | None]:
        """Implements `Stepper.step`."""
        logits, state, weights = self._run(state, previous)
        return *most_probable(logits, k), state, weights

    @torch.no_grad()
    def score(
        self, state: list[SearchState], previous: Ints, given: Ints
    ) -> tuple[Floats, list[SearchState], np.ndarray | None]:
        """Implements `Stepper.score`."""
        logits, state, weights = self._run(state, previous)
        chosen = logits.gather(1, torch.from_numpy(given).to(self.device).unsqueeze(1)).squeeze(1)  # (N,)
        log_probs: Floats = (chosen.cpu().double() - logits.logsumexp(1).cpu().double()).numpy()
        return log_probs, state, weights

    def select(self, state: list[SearchState], rows: Ints) -> list[SearchState]:
        """Implements `Stepper.select`."""
        return [member.select(part, rows) for member, part in zip(self._members, state, strict=True)]

    def join(self, state: list[SearchState], started: list[SearchState]) -> list[SearchState]:
        """Implements `Stepper.join`."""
        return [member.join(*parts) for member, *parts in zip(self._members, state, started, strict=True)]

    def _run(self, state: list[SearchState], previous: Ints) -> tuple[Tensor, list[SearchState], np.ndarray | None]:
        """Returns logits (N, V), the next state, and attention weights (N, S) or None."""
        pieces = torch.from_numpy(previous).to(self.device)  # (N,)
        outputs = [member.step(part, pieces) for member, part in zip(self._members, state, strict=True)]
        logits = outputs[0][0]
        if len(outputs) > 1:
            log_probs = torch.stack([output[0].log_softmax(1) for output in outputs])  # (models, N, V)
            logits = log_probs.logsumexp(0) - math.log(len(outputs))  # (N, V)
        weights = [output[2] for output in outputs if output[2] is not None]
        mean = torch.stack(weights).mean(0).cpu().numpy() if weights else None  # (N, S)
        return logits, [output[1] for output in outputs], mean


class _Member:
    """One model."""

    def __init__(self, model: Seq2Seq, precision: torch.dtype | None, group_size: int) -> None:
        self._model = model
        self._dtype = model.target_embedding.weight.dtype
        self._precision = precision or self._dtype
        self._group_size = group_size

    def start(self, source: Tensor, mask: Tensor) -> SearchState:
        """Encodes source (B, S), mask (B, S) true on real pieces; returns a state of one row per sentence."""
        with self._autocast(source.device):
            encoded, decoder = self._model.start(source, mask)
        index = RowIndex(range(len(source)), len(source), source.device)
        sources = EncoderCache((encoded.to(self._dtype),))
        return SearchState(sources, decoder.to(self._dtype), index, list(range(len(source))))

    def step(self, state: SearchState, previous: Tensor) -> tuple[Tensor, SearchState, Tensor | None]:
        """Returns logits (N, V) after the pieces previous (N,), the next state, attention weights (N, S) or None.

        Decoder states, attention scores and logits keep the dtype of the model: bfloat16 logits would make different
        pieces equal.
        """
        decoder, index, device = self._model.decoder, state.rows, previous.device
        hidden = state.decoder.layers[0].hidden  # (D, Q)
        read, weights = state.sources.attend(decoder, index.to_grid(hidden))  # (B, K, L), (B, K, S)
        parents = torch.tensor(state.parents, device=device)  # (N,)
        by_row = index.from_grid(read).index_select(0, parents)  # (N, L)
        alpha = None if weights is None else index.from_grid(weights).index_select(0, parents)  # (N, S)
        embedded = self._model.target_embedding(previous)  # (N, E)
        with self._autocast(device):
            output, after = decoder.step(state.decoder.select(parents), embedded, by_row)
            logits = self._model.softmax(output).to(self._dtype)  # (N, V)
        sentences = [index.sentences[parent] for parent in state.parents]
        rows = RowIndex(sentences, index.count, device)
        return logits, SearchState(state.sources, after.to(self._dtype), rows, list(range(len(previous)))), alpha

    def select(self, state: SearchState, rows: Ints) -> SearchState:
        """Returns the state of `rows` (M,), in that order.

        Sentences without a row are removed only when they are at least a quarter of all: removing copies the others.
        """
        sources, count, device = state.sources, state.rows.count, state.decoder.layers[0].hidden.device
        numbers: dict[int, int] = {}  # new number of each distinct state
        parents = [numbers.setdefault(state.parents[row], len(numbers)) for row in rows.tolist()]
        sentences = [state.rows.sentences[row] for row in numbers]
        kept = sorted(set(sentences))
        if 4 * len(kept) <= 3 * count:
            sources, count = sources.select(kept), len(kept)
            number = {sentence: i for i, sentence in enumerate(kept)}
            sentences = [number[sentence] for sentence in sentences]
        decoder = state.decoder.select(torch.tensor(list(numbers), dtype=torch.long, device=device))
        return SearchState(sources, decoder, RowIndex(sentences, count, device), parents)

    def join(self, state: SearchState, started: SearchState) -> SearchState:
        """Returns the state of the rows of both, those of `started`, a result of `start`, last."""
        old, new = state.rows, started.rows
        sources, order = state.sources.join(started.sources, self._group_size)
        number = {sentence: i for i, sentence in enumerate(order)}
        sentences = [number[i] for i in (*old.sentences, *(old.count + sentence for sentence in new.sentences))]
        parents = [*state.parents, *range(len(old.sentences), len(sentences))]
        decoder = state.decoder.join(started.decoder)
        index = RowIndex(sentences, len(order), decoder.layers[0].hidden.device)
        return SearchState(sources, decoder, index, parents)

    def _autocast(self, device: torch.device) -> torch.autocast:
        lower = self._precision
        return torch.autocast(device.type, lower, enabled=lower != self._dtype, cache_enabled=False)
