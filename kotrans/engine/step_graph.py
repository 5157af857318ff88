"""The graph of one step of a search, for one model or an ensemble.

Shape key: N rows, D distinct states, B sentences, K most states of one sentence, S source positions, V target pieces,
W pieces of the shortlist of the batch, k pieces per row.
"""

from typing import NamedTuple

import numpy as np

from kotrans.engine.decoder_graph import DecoderGraph, PieceTable, Rows, SoftmaxWeight
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_writer import Graph


class StepGraph(NamedTuple):
    """A step graph and the softmax layers that are its inputs if it has a shortlist."""

    graph: Graph
    softmax: tuple[SoftmaxWeight, ...]
    tables: tuple[PieceTable | None, ...]
    """Of each member; an input unless it is None."""
    attends: bool
    """Whether there is an output `weights`."""


def step_graph(members: list[ModelWeights], target_pieces: int, largest: int | None, *, shortlist: bool) -> StepGraph:
    """Returns the graph of a step.

    Inputs: those of `Rows`, k (1,), given (N, 1), and for member m, with the prefix m: its table, its outputs of the
    encoder graph and hidden0, long_term0 … (D, Q). With a shortlist also the inputs of a `ListedSoftmax`.

    Outputs: log_probs and pieces (N, k), the most probable first; given_log_probs (N, 1); weights (D, S) if there is
    attention; and per member the next states (N, Q). largest: of int8 weights; None multiplies in float32.
    """
    graph = Graph("step")
    rows = Rows(
        graph.input("previous", np.int64, ["N"]), graph.input("parents", np.int64, ["N"]),
        graph.input("grid", np.int64, ["B", "K"]), graph.input("cells", np.int64, ["D"]),
        graph.input("sentences", np.int64, ["N"]), graph.input("mask", np.float32, ["B", 1, "S"]),
    )  # fmt: skip
    listed = graph.input("shortlist", np.float32, ["B", "W"]) if shortlist else None
    made = [
        DecoderGraph(graph, member, f"m{m}/", target_pieces, largest=largest, with_table=True)
        for m, member in enumerate(members)
    ]
    softmax = tuple(member.softmax_weight() for member in made) if shortlist else ()
    log_probs, weights = [], []
    for m, member in enumerate(made):
        output, alpha = member.step(rows)
        logits = member.listed_logits(output, softmax[m]) if shortlist else member.logits(output)  # (N, V) or (N, W)
        if listed is not None:
            logits = graph.op("Add", logits, graph.op("Gather", listed, rows.sentences, axis=0))
        log_probs.append(graph.op("LogSoftmax", logits, axis=1))
        weights += [] if alpha is None else [alpha]
    _outputs(graph, _mean_of_probabilities(graph, log_probs), weights)
    return StepGraph(graph, softmax, tuple(member.table for member in made), bool(weights))


def _mean_of_probabilities(graph: Graph, log_probs: list[str]) -> str:
    """Returns log mean p (N, V) over the members."""
    if len(log_probs) == 1:
        return log_probs[0]
    peak = graph.op("Max", *log_probs)
    mean = graph.op("Mean", *(graph.op("Exp", graph.op("Sub", each, peak)) for each in log_probs))
    return graph.op("Add", graph.op("Log", mean), peak)


def _outputs(graph: Graph, log_probs: str, weights: list[str]) -> None:
    values, pieces = graph.ops(
        "TopK", log_probs, graph.input("k", np.int64, [1]), outputs=2, axis=1, largest=1, sorted=1
    )  # (N, k) each
    graph.output(values, "log_probs")
    graph.output(pieces, "pieces", np.int64)
    given = graph.input("given", np.int64, ["N", 1])
    graph.output(graph.op("GatherElements", log_probs, given, axis=1), "given_log_probs")
    if weights:
        graph.output(weights[0] if len(weights) == 1 else graph.op("Mean", *weights), "weights")
