"""The graph that encodes a batch of sentences, for one model.

Shape key: B sentences, S source positions, P distinct pieces, E embedding width, H memory width, A width of a key,
Q decoder state width, D width of one direction of the encoder, G number of its gates.
"""

import numpy as np

from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_writer import Graph
from kotrans.engine.recurrence_graph import project, run_layer

SHORTEST = 1e-3  # as in `kotrans.model.attention`
STATE, MEMORY, KEYS, EMBEDDED, CONTEXT = "hidden", "memory", "keys", "embedded", "context"
"""Names of outputs; STATE is followed by the number of the layer."""


def encoder_graph(weights: ModelWeights, source_pieces: int, largest: int | None) -> Graph:
    """Returns the graph with the inputs and outputs of `add_encoder`."""
    graph = Graph("encoder")
    pieces, source = graph.input("pieces", np.int64, ["P"]), graph.input("source", np.int64, ["B", "S"])
    add_encoder(graph, weights, source_pieces, pieces, source, graph.input("lengths", np.int64, ["B"]), largest)
    return graph


def add_encoder(
    graph: Graph, weights: ModelWeights, source_pieces: int, pieces: str, source: str, lengths: str,
    largest: int | None,
) -> list[str]:  # fmt: skip
    """Adds the encoder of the sentences source (B, S), given as indices into pieces (P,), with lengths (B,).

    The first layer multiplies each of the P pieces once. Outputs: hidden0 … (B, Q), s_0 of every layer, and what the
    decoder reads: memory (B, S, H), keys (B, S, A) or (B, A, S) and embedded (B, S, E) of a lexical model, or without
    attention context (B, H). largest: of int8 weights; None multiplies in float32. Returns s_0 of every layer.
    """
    config = weights.config
    embedding = graph.op("Gather", graph.array(weights.embedding("source", source_pieces)), pieces, axis=0)  # (P, E)
    by_position = graph.op("Transpose", source, perm=[1, 0])  # (S, B)
    states, last, initial = "", list[str](), list[str]()
    for layer in range(config.encoder.layers):
        cells = weights.encoder_cells(layer)
        if layer == 0:
            of_pieces = project(graph, cells, embedding, largest)  # (P, G*D) each
            projected = [graph.op("Gather", each, by_position, axis=0) for each in of_pieces]  # (S, B, G*D) each
        else:
            flat = graph.op("Reshape", states, graph.integers(-1, config.memory_size))  # (S*B, H)
            shape = graph.op("Concat", graph.op("Shape", by_position), graph.integers(-1), axis=0)
            projected = [graph.op("Reshape", each, shape) for each in project(graph, cells, flat, largest)]
        states, last = run_layer(graph, cells, projected, lengths, largest)  # (S, B, H), (B, D) each
    for i in range(config.decoder.layers):
        size = config.decoder.hidden_size
        weight = weights.matrix(f"decoder.bridges.{i}.weight", size, config.encoder.hidden_size)
        product = graph.op("MatMul", last[-1], graph.array(weight.T))  # of the backward state at position 1
        bias = graph.array(weights.matrix(f"decoder.bridges.{i}.bias", size))
        initial.append(graph.op("Tanh", graph.op("Add", product, bias)))
        graph.output(initial[-1], f"{STATE}{i}")
    if config.attention.score == "none":
        graph.output(graph.op("Concat", *last, axis=1), CONTEXT)  # (B, H)
        return initial
    memory = graph.op("Transpose", states, perm=[1, 0, 2])  # (B, S, H)
    graph.output(memory, MEMORY, rank=3)
    if config.attention.score != "location":
        graph.output(_keys(graph, weights, memory), KEYS, rank=3)
    if config.decoder.lexical:
        graph.output(graph.op("Gather", embedding, source, axis=0), EMBEDDED, rank=3)
    return initial


def _keys(graph: Graph, weights: ModelWeights, memory: str) -> str:
    """Returns the part of the score that depends on h_j alone; (B, A, S) where it is multiplied by the query."""
    config = weights.config
    attention, width, query = config.attention, config.memory_size, config.decoder.hidden_size
    keys = memory
    if attention.score == "additive":
        weight = weights.matrix("decoder.attention.key.weight", attention.size, width)
        return graph.op("MatMul", memory, graph.array(weight.T))  # (B, S, A)
    if attention.score == "general" or (attention.score == "cosine" and width != query):
        weight = weights.matrix("decoder.attention.key.weight", query, width)
        keys = graph.op("MatMul", memory, graph.array(weight.T))  # (B, S, Q)
    if attention.score == "cosine":
        keys = unit_vectors(graph, keys)
    elif attention.scale:
        keys = graph.op("Mul", keys, graph.array(np.float32(query**-0.5)))
    return graph.op("Transpose", keys, perm=[0, 2, 1])  # (B, Q, S)


def unit_vectors(graph: Graph, vectors: str) -> str:
    """Returns vectors (..., A) divided by their length, or by SHORTEST if they are shorter."""
    length = graph.op("ReduceL2", vectors, axes=[-1], keepdims=1)
    return graph.op("Div", vectors, graph.op("Max", length, graph.array(np.float32(SHORTEST))))
