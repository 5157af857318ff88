"""The engine for CPUs: a `Stepper` that runs the encoder graph and the step graph with onnxruntime.

Shape key: B sentences, S source positions, J sentences that join, N rows (hypotheses), D distinct decoder states of the
rows, K most distinct states of one sentence, M rows selected, k pieces per row.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from kotrans.data.tokenizer import BOS, PAD, UNK
from kotrans.engine.decoder_graph import LONG_TERM, NEXT, POSITIONS, TABLE
from kotrans.engine.encoder_graph import STATE, encoder_graph
from kotrans.engine.listed_softmax import ListedSoftmax
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_writer import Graph
from kotrans.engine.step_graph import step_graph
from kotrans.engine.stepper import Booleans, Floats, Ints, Weights
from kotrans.errors import ModelError

Array = npt.NDArray[Any]

_SPECIAL = (PAD, BOS, UNK)
_ERRORS = 3  # severity of messages of onnxruntime that are printed


class EngineState(NamedTuple):
    """The state of a search between two steps."""

    encoded: Mapping[str, Array]  # of B sentences, by name of the step graph's input
    decoder: Mapping[str, Weights]  # (D, Q) each
    sentences: Ints  # (D,) the sentence of each distinct state
    parents: Ints  # (N,) the distinct state of each row
    listed: ListedSoftmax | None  # with a shortlist


class OnnxEngine:
    """Steps of one model or of an ensemble on a CPU. Safe to use by several threads at once."""

    def __init__(
        self, members: Sequence[ModelWeights], source_pieces: int, target_pieces: int,
        *, largest: int | None = None, shortlist: Callable[[Sequence[int]], Ints] | None = None,
    ) -> None:  # fmt: skip
        """Builds the graphs. Raises CheckpointError if weights do not fit the config.

        largest: of int8 weights; None multiplies in float32. shortlist: returns the target pieces, in ascending order,
        among which a translation of the given source pieces is searched.
        """
        self._members = list(members)
        self._target_pieces = target_pieces
        self._largest = largest
        self._shortlist = shortlist
        self._encoders = [_Session(encoder_graph(each, source_pieces, largest)) for each in members]
        made = step_graph(self._members, target_pieces, largest, shortlist=shortlist is not None)
        for each in members:
            each.check_all_used()
        self._layers, self._attends, self._step_session = made.softmax, made.attends, _Session(made.graph)
        self._tables = {f"m{m}/{TABLE}": table for m, table in enumerate(made.tables) if table is not None}
        self._states = [name for name in self._step_session.outputs if NEXT in name]

    def start(self, source: Ints, mask: Booleans) -> EngineState:
        """Returns the state before the first piece; source (B, S), mask (B, S) true on real pieces."""
        lengths = mask.sum(1)
        self._check_lengths(lengths)
        width = -(-int(lengths.max(initial=1)) // POSITIONS) * POSITIONS
        padded = np.full((len(source), width), PAD)
        padded[:, : source.shape[1]] = source[:, :width]
        pieces, places = np.unique(padded, return_inverse=True)
        real = np.arange(width) < lengths[:, None]
        encoded: dict[str, Array] = {"mask": np.where(real, np.float32(0), np.float32(-np.inf))[:, None]}
        decoder: dict[str, Weights] = {}
        for m, (encoder, member) in enumerate(zip(self._encoders, self._members, strict=True)):
            outputs = encoder.run({"pieces": pieces, "source": places, "lengths": lengths})
            for name, array in outputs.items():
                (decoder if name.startswith(STATE) else encoded)[f"m{m}/{name}"] = array
            if member.config.decoder.cell == "lstm":
                for layer in range(member.config.decoder.layers):
                    decoder[f"m{m}/{LONG_TERM}{layer}"] = np.zeros_like(outputs[f"{STATE}{layer}"])
        rows = np.arange(len(source))
        listed = None
        if self._shortlist is not None:
            lists = [self._shortlist(ids[:length]) for ids, length in zip(source.tolist(), lengths, strict=True)]
            listed = ListedSoftmax.of(lists, self._layers)
        return EngineState(encoded, decoder, rows, rows, listed)

    def step(self, state: EngineState, previous: Ints, k: int) -> tuple[Floats, Ints, EngineState, Weights | None]:
        """Implements `Stepper.step`."""
        listed = state.listed
        found = min(k + len(_SPECIAL), self._target_pieces if listed is None else len(listed.pieces))
        outputs = self._run(self._step_session, state, previous, np.zeros(len(previous), np.int64), found)
        pieces = outputs["pieces"] if listed is None else listed.pieces[outputs["pieces"]]
        log_probs, pieces = _without_special(outputs["log_probs"].astype(np.float64), pieces, k)
        return log_probs, pieces, self._next(state, outputs), self._weights(state, outputs)

    def score(self, state: EngineState, previous: Ints, given: Ints) -> tuple[Floats, EngineState, Weights | None]:
        """Implements `Stepper.score`, always over all pieces, without the shortlist."""
        outputs = self._run(self._score_session, state, previous, given, 1)
        return (
            outputs["given_log_probs"][:, 0].astype(np.float64),
            self._next(state, outputs),
            self._weights(state, outputs),
        )

    def select(self, state: EngineState, rows: Ints) -> EngineState:
        """Implements `Stepper.select`. Sentences without a row are removed when they are a quarter of all."""
        distinct, parents = np.unique(state.parents[rows], return_inverse=True)
        sentences, encoded, listed = state.sentences[distinct], state.encoded, state.listed
        kept, renumbered = np.unique(sentences, return_inverse=True)
        count = len(encoded["mask"])
        if 4 * len(kept) <= 3 * count:
            encoded, sentences = {name: array[kept] for name, array in encoded.items()}, renumbered
            listed = listed and listed.select(kept)
        decoder = state.decoder
        if len(distinct) < len(state.sentences):
            decoder = {name: array[distinct] for name, array in decoder.items()}
        return EngineState(encoded, decoder, sentences, parents, listed)

    def join(self, state: EngineState, started: EngineState) -> EngineState:
        """Implements `Stepper.join`."""
        count, listed = len(state.encoded["mask"]), None
        if state.listed is not None and started.listed is not None:
            listed = ListedSoftmax.of([*state.listed.lists, *started.listed.lists], self._layers)
        return EngineState(
            {name: _joined(array, started.encoded[name], -np.inf if name == "mask" else 0)
             for name, array in state.encoded.items()},
            {name: np.concatenate([array, started.decoder[name]]) for name, array in state.decoder.items()},
            np.concatenate([state.sentences, started.sentences + count]),
            np.concatenate([state.parents, started.parents + len(state.sentences)]),
            listed,
        )  # fmt: skip

    @cached_property
    def _score_session(self) -> "_Session":
        """The session of the step graph without a shortlist."""
        if self._shortlist is None:
            return self._step_session
        return _Session(step_graph(self._members, self._target_pieces, self._largest, shortlist=False).graph)

    def _run(self, session: "_Session", state: EngineState, previous: Ints, given: Ints, k: int) -> dict[str, Array]:
        count = len(state.encoded["mask"])
        order = np.argsort(state.sentences, kind="stable")  # (D,) distinct states by sentence
        grouped = state.sentences[order]
        ranks = np.empty_like(order)  # (D,) number of each state among those of its sentence
        ranks[order] = np.arange(len(order)) - np.searchsorted(grouped, grouped)
        width = int(ranks.max(initial=0)) + 1  # K
        cells = state.sentences * width + ranks  # (D,)
        grid = np.zeros(count * width, np.int64)
        grid[cells] = np.arange(len(cells))
        inputs = {
            **state.encoded, **state.decoder, "previous": previous, "parents": state.parents, "cells": cells,
            "grid": grid.reshape(count, width), "given": given[:, None], "k": np.array([k]),
            "sentences": state.sentences[state.parents],
        }  # fmt: skip
        for name, table in self._tables.items():
            table.fill(previous)
            inputs[name] = table.rows
        if state.listed is not None:
            inputs |= {**state.listed.inputs, "shortlist": state.listed.mask}
        return session.run(inputs)

    def _next(self, state: EngineState, outputs: Mapping[str, Array]) -> EngineState:
        decoder = {name.replace(NEXT, ""): outputs[name] for name in self._states}
        sentences = state.sentences[state.parents]
        return EngineState(state.encoded, decoder, sentences, np.arange(len(sentences)), state.listed)

    def _weights(self, state: EngineState, outputs: Mapping[str, Array]) -> Weights | None:
        return outputs["weights"][state.parents] if self._attends else None

    def _check_lengths(self, lengths: Ints) -> None:
        longest = int(lengths.max(initial=0))
        for member in self._members:
            limit = member.config.attention.max_source_length
            if member.config.attention.score == "location" and limit is not None and longest > limit:
                raise ModelError(
                    f"a source has {longest} pieces, but attention.score `location` was built for "
                    f"attention.max_source_length {limit}; shorten the source or train with a larger limit"
                )


def _without_special(log_probs: Floats, pieces: Ints, k: int) -> tuple[Floats, Ints]:
    """Returns the k best of log_probs and pieces (N, k + 3) that are not special."""
    special = np.isin(pieces, _SPECIAL)
    if special[:, :k].any():
        order = np.argsort(special, axis=1, kind="stable")  # (N, k + 3)
        log_probs = np.take_along_axis(np.where(special, -np.inf, log_probs), order, 1)
        pieces = np.take_along_axis(pieces, order, 1)
    return log_probs[:, :k], pieces[:, :k]


def _joined(array: Array, other: Array, fill: float) -> Array:
    """Returns the rows of both, with the other axes as long as the longer one."""
    shape = np.maximum(array.shape, other.shape)[1:]
    joined = np.full((len(array) + len(other), *shape), fill, array.dtype)
    for part, begin in ((array, 0), (other, len(array))):
        joined[slice(begin, begin + len(part)), *map(slice, part.shape[1:])] = part
    return joined


def session_options(graph: Graph) -> tuple[onnxruntime.SessionOptions, list[onnxruntime.OrtValue]]:
    """Returns options for a session of the graph, and its weights, which must live as long as the session."""
    options = onnxruntime.SessionOptions()
    # A step has many small operators: threads that divide the sentences wait less than threads inside each operator.
    options.intra_op_num_threads = 1
    options.log_severity_level = _ERRORS
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in graph.weights.values()]
    if values:
        options.add_external_initializers(list(graph.weights), values)
    return options, values


class _Session:
    """An onnxruntime session whose weights are arrays of this process."""

    def __init__(self, graph: Graph) -> None:
        options, self._weights = session_options(graph)
        self._session = onnxruntime.InferenceSession(graph.model(), options)
        self._inputs = [each.name for each in self._session.get_inputs()]
        self.outputs = [each.name for each in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Returns the outputs by name; inputs that the graph lacks are ignored."""
        arrays = self._session.run(self.outputs, {name: inputs[name] for name in self._inputs})
        return dict(zip(self.outputs, arrays, strict=True))
