"""Recurrent cells and encoder layers as ONNX operators.

Shape key: N rows, B sentences, S source positions, I input width, H state width, G number of gates, R directions.
"""

from typing import NamedTuple

import numpy as np

from kotrans.engine.graph_products import multiply
from kotrans.engine.model_weights import CellWeights, Floats
from kotrans.engine.onnx_writer import Graph

_EPSILON = 1e-5  # of layer normalisation, the default of PyTorch


class CellValues(NamedTuple):
    """The state of a cell: names of values in a graph."""

    hidden: str  # (N, H)
    long_term: str | None  # (N, H) of an LSTM


def layer_norm(graph: Graph, value: str, gain: Floats, bias: Floats | None = None) -> str:
    """Returns the layer normalisation of value (..., H)."""
    weights = [graph.array(each) for each in (gain, bias) if each is not None]
    return graph.op("LayerNormalization", value, *weights, axis=-1, epsilon=_EPSILON)


def advance(graph: Graph, cell: CellWeights, inputs: str, recurrent: str, state: CellValues) -> CellValues:
    """Returns the next state from inputs (N, G*H) = W x + b and recurrent (N, G*H) = U h; see `kotrans.model.cells`."""
    if cell.kind == "gru":
        return _advance_gru(graph, cell, inputs, recurrent, state)
    gates = graph.op("Add", inputs, recurrent)  # (N, G*H)
    if cell.kind == "rnn":
        return CellValues(graph.op("Tanh", gates), None)
    assert state.long_term is not None
    i, f, g, o = graph.ops("Split", gates, outputs=4, axis=-1)  # (N, H) each
    kept = graph.op("Mul", graph.op("Sigmoid", f), state.long_term)
    long_term = graph.op("Add", kept, graph.op("Mul", graph.op("Sigmoid", i), graph.op("Tanh", g)))  # (N, H)
    norms = cell.norms and cell.norms.long_term
    read = layer_norm(graph, long_term, *norms) if norms else long_term
    return CellValues(graph.op("Mul", graph.op("Sigmoid", o), graph.op("Tanh", read)), long_term)


def _advance_gru(graph: Graph, cell: CellWeights, inputs: str, recurrent: str, state: CellValues) -> CellValues:
    assert cell.bias_new is not None
    input_r, input_z, input_n = graph.ops("Split", inputs, outputs=3, axis=-1)  # (N, H) each
    hidden_r, hidden_z, hidden_n = graph.ops("Split", recurrent, outputs=3, axis=-1)  # (N, H) each
    reset = graph.op("Sigmoid", graph.op("Add", input_r, hidden_r))
    update = graph.op("Sigmoid", graph.op("Add", input_z, hidden_z))
    biased = graph.op("Add", hidden_n, graph.array(cell.bias_new))
    new = graph.op("Tanh", graph.op("Add", input_n, graph.op("Mul", reset, biased)))
    kept = graph.op("Mul", update, graph.op("Sub", state.hidden, new))
    return CellValues(graph.op("Add", new, kept), None)  # (1 - z) n + z h


def run_layer(
    graph: Graph, cells: list[CellWeights], projected: list[str], lengths: str, largest: int | None
) -> tuple[str, list[str]]:
    """Runs an encoder layer from projected (S, B, G*H), the result of `project` for each direction; lengths (B,).

    Returns the states (S, B, R*H), zeros on padding, and the last state (B, H) of each direction. The backward
    direction begins at the last real position. largest: of int8 weights; None multiplies in float32.
    """
    directions = [
        _run_direction(graph, cell, inputs, lengths, largest, backward=i == 1)
        for i, (cell, inputs) in enumerate(zip(cells, projected, strict=True))
    ]
    states = [states for states, _ in directions]
    return states[0] if len(states) == 1 else graph.op("Concat", *states, axis=2), [last for _, last in directions]


def project(graph: Graph, cells: list[CellWeights], inputs: str, largest: int | None) -> list[str]:
    """Returns W x + b (..., G*H) of inputs (..., I) for each direction."""
    width = len(cells[0].bias)
    products = multiply(graph, inputs, np.concatenate([cell.input for cell in cells]), largest)
    projected = (
        products
        if len(cells) == 1
        else graph.ops("Split", products, graph.integers(*[width] * len(cells)), outputs=len(cells), axis=-1)
    )
    parts = [projected] if isinstance(projected, str) else projected
    normed = [
        part if cell.norms is None else layer_norm(graph, part, cell.norms.input)
        for part, cell in zip(parts, cells, strict=True)
    ]
    return [graph.op("Add", part, graph.array(cell.bias)) for part, cell in zip(normed, cells, strict=True)]


def _run_direction(
    graph: Graph, cell: CellWeights, projected: str, lengths: str, largest: int | None, *, backward: bool
) -> tuple[str, str]:
    """Runs a cell over projected (S, B, G*H). Returns its states (S, B, H), zeros on padding, and the last (B, H)."""
    if backward:
        projected = graph.op("ReverseSequence", projected, lengths, batch_axis=1, time_axis=0)
    batch = graph.op("Slice", graph.op("Shape", projected), graph.integers(1), graph.integers(2))  # (1,)
    shape = graph.op("Concat", batch, graph.integers(cell.size), axis=0)  # (2,)
    carried = 2 if cell.kind == "lstm" else 1
    zeros = [graph.op("ConstantOfShape", shape) for _ in range(carried)]  # (B, H)
    body = _step(graph, cell, largest)
    *_, states = graph.ops("Scan", *zeros, projected, outputs=carried + 1, body=body, num_scan_inputs=1)
    positions = graph.op("Unsqueeze", graph.range_of(projected), graph.integers(1, 2))  # (S, 1, 1)
    ends = graph.op("Unsqueeze", lengths, graph.integers(0, 2))  # (1, B, 1)
    states = graph.op("Where", graph.op("Less", positions, ends), states, graph.array(np.float32(0)))
    last = graph.op("Expand", graph.op("Sub", ends, graph.integers(1)), graph.integers(1, 1, cell.size))  # (1, B, H)
    final = graph.op("Squeeze", graph.op("GatherElements", states, last, axis=0), graph.integers(0))
    if backward:
        states = graph.op("ReverseSequence", states, lengths, batch_axis=1, time_axis=0)
    return states, final


def _step(graph: Graph, cell: CellWeights, largest: int | None) -> Graph:
    """Returns the body of a Scan: the state and W x + b (B, G*H) of a position to the next state and its output."""
    body = graph.subgraph("cell")
    hidden = body.input(body.fresh("hidden"), np.float32, ["B", cell.size])
    long_term = body.input(body.fresh("long_term"), np.float32, ["B", cell.size]) if cell.kind == "lstm" else None
    step = body.input(body.fresh("projected"), np.float32, ["B", len(cell.bias)])
    recurrent = multiply(body, hidden, cell.hidden, largest)
    if cell.norms is not None:
        recurrent = layer_norm(body, recurrent, cell.norms.hidden)
    after = advance(body, cell, step, recurrent, CellValues(hidden, long_term))
    for value in (after.hidden, after.long_term, after.hidden):
        if value is not None:
            body.output(value, body.fresh("result"))
    return body
