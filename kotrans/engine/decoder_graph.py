"""One decoder step of a model as ONNX operators.

Rows that continue the same hypothesis share its state, attention and products: a step computes them once per distinct
state and copies them to the rows.

Shape key: N rows, D distinct states, B sentences, K most states of one sentence, S source positions, E embedding width,
H memory width, A width of a key, Q state width, G gates of the first cell (all of them, times Q), V target pieces,
W pieces of the shortlist of the batch, O width of the softmax input.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kotrans.engine.encoder_graph import CONTEXT, EMBEDDED, KEYS, MEMORY, STATE, unit_vectors
from kotrans.engine.graph_products import multiply, multiply_quantized, quantize, quantize_rows
from kotrans.engine.model_weights import CellWeights, Floats, ModelWeights
from kotrans.engine.onnx_writer import Graph
from kotrans.engine.recurrence_graph import CellValues, advance, layer_norm

LONG_TERM, NEXT, SOFTMAX, TABLE = "long_term", "next_", "softmax", "table"
"""Parts of the names of inputs and outputs."""
POSITIONS = 8
"""Source positions are padded to a multiple: the order of sums in a softmax depends on its length."""
LARGEST_TABLE = 2**25
"""Most elements of the table of the products of all pieces: 128 MiB."""
_BLOCK = 16  # pieces that are always multiplied together, so that rounding does not depend on what came before


class SoftmaxWeight(NamedTuple):
    """The softmax layer of a model, from which a shortlist takes rows."""

    weight: Floats  # (V, O), or integers
    scales: Floats | None  # (V,) of integers
    bias: Floats  # (V,)


class Rows(NamedTuple):
    """Names of the inputs that say which state, sentence and piece a row has."""

    previous: str  # (N,)
    parents: str  # (N,) the distinct state of each row
    grid: str  # (B, K) distinct state of each cell; 0 in unused ones
    cells: str  # (D,) cell of each distinct state in the flattened grid
    sentences: str  # (N,) the sentence of each row
    mask: str  # (B, 1, S) 0, and -inf on padding


class PieceTable:
    """The products of the target pieces, computed when a piece first occurs."""

    def __init__(self, embedding: Floats, weight: Floats, bias: Floats) -> None:
        """embedding (V, E), weight (G+E, E), bias (G+E,)."""
        self.rows = np.empty((len(embedding), len(weight)), np.float32)
        """(V, G+E); only the rows of pieces given to `fill` are valid."""
        self._embedding, self._weight, self._bias = embedding, weight, bias
        self._is_known = np.zeros(-(-len(embedding) // _BLOCK), bool)

    def fill(self, pieces: npt.NDArray[np.int64]) -> None:
        """Computes the rows of `pieces`. Threads may do so at once: they write the same numbers."""
        blocks = pieces // _BLOCK
        for block in np.unique(blocks[~self._is_known[blocks]]).tolist():
            rows = slice(block * _BLOCK, (block + 1) * _BLOCK)
            self.rows[rows] = self._embedding[rows] @ self._weight.T + self._bias
            self._is_known[block] = True


class DecoderGraph:
    """One model in the graph."""

    def __init__(
        self, graph: Graph, weights: ModelWeights, prefix: str, pieces: int, *, largest: int | None, with_table: bool
    ) -> None:
        """prefix: of the names of inputs and outputs. pieces: V. largest: of int8 weights; None multiplies in float32.

        with_table: the products of the last pieces are an input of the graph, unless they would be too large.
        """
        self._graph = graph
        self._weights = weights
        self._config = weights.config
        self._prefix = prefix
        self._pieces = pieces
        self._largest = largest
        self._first, *self._upper_cells = weights.decoder_cells()
        self.table: PieceTable | None = None
        """The products of pieces, an input of the graph; None if the graph multiplies pieces in each step."""
        embedding, weight, bias = self._of_pieces()
        if with_table and len(embedding) * len(weight) <= LARGEST_TABLE:
            self.table = PieceTable(embedding, weight, bias)

    def step(self, rows: Rows) -> tuple[str, str | None]:
        """Returns the softmax input (N, O) and the attention weights (D, S), or None."""
        graph, config = self._graph, self._config
        first, upper = self._first, self._upper_cells
        states = [self._state(i, config.decoder.cell == "lstm") for i in range(len(upper) + 1)]  # of distinct states
        context, alpha, lexical = self._read_source(rows, states[0].hidden)  # (D, H), (D, S), (D, E)
        inputs, output, recurrent = self._first_products(first, context, states[0].hidden)
        pieces = self._piece_products(rows.previous)  # (N, G+E)
        gates_of_piece, output_of_piece = graph.ops(
            "Split", pieces, graph.integers(len(first.bias), config.embeddings.size), outputs=2, axis=1
        )
        by_row = [
            CellValues(self._rows(state.hidden, rows), state.long_term and self._rows(state.long_term, rows))
            for state in states
        ]
        inputs = graph.op("Add", self._rows(inputs, rows), gates_of_piece)  # (N, G)
        if first.norms is not None:
            inputs = graph.op("Add", layer_norm(graph, inputs, first.norms.input), graph.array(first.bias))
        after = [advance(graph, first, inputs, self._rows(recurrent, rows), by_row[0])]
        hidden = after[0].hidden
        for cell, state in zip(upper, by_row[1:], strict=True):
            after.append(self._upper(cell, hidden, state))
            hidden = graph.op("Add", hidden, after[-1].hidden)
        for i, state in enumerate(after):
            graph.output(state.hidden, f"{self._prefix}{NEXT}{STATE}{i}")
            if state.long_term is not None:
                graph.output(state.long_term, f"{self._prefix}{NEXT}{LONG_TERM}{i}")
        deep = self._multiply(hidden, self._deep_output()[0])  # (N, E)
        deep = graph.op("Add", graph.op("Add", deep, output_of_piece), self._rows(output, rows))
        deep = graph.op("Tanh", deep)
        if lexical is not None:
            deep = graph.op("Concat", deep, self._rows(lexical, rows), axis=1)  # (N, 2E)
        return deep, alpha

    def logits(self, output: str) -> str:
        """Returns logits (N, V) of the softmax input (N, O)."""
        weight, bias = self._weights.softmax(self._pieces)
        return self._graph.op("Add", self._multiply(output, weight), self._graph.array(bias))

    def softmax_weight(self) -> SoftmaxWeight:
        """Returns the softmax layer for a graph with a shortlist."""
        weight, bias = self._weights.softmax(self._pieces)
        if self._largest is None:
            return SoftmaxWeight(weight, None, bias)
        quantized = quantize(weight, self._largest)
        return SoftmaxWeight(quantized.integers, quantized.scales, bias)  # type: ignore[arg-type]

    def listed_logits(self, output: str, softmax: SoftmaxWeight) -> str:
        """Returns logits (N, W) of the softmax input (N, O); the rows of the layer are inputs of the graph."""
        graph, name, width = self._graph, f"{self._prefix}{SOFTMAX}_", softmax.weight.shape[1]
        bias = graph.input(f"{name}bias", np.float32, ["W"])
        if softmax.scales is None:
            weight = graph.input(f"{name}weight", np.float32, ["W", width])
            return graph.op("Gemm", output, weight, bias, transB=1)
        integers = graph.input(f"{name}weight", np.int8, [width, "W"])
        scales = graph.input(f"{name}scales", np.float32, ["W"])
        return graph.op("Add", multiply_quantized(graph, quantize_rows(graph, output), integers, scales), bias)

    def _state(self, layer: int, lstm: bool) -> CellValues:
        size = self._config.decoder.hidden_size
        names = (STATE, LONG_TERM) if lstm else (STATE,)
        values = [self._graph.input(f"{self._prefix}{name}{layer}", np.float32, ["D", size]) for name in names]
        return CellValues(values[0], values[1] if lstm else None)

    def _rows(self, states: str, rows: Rows) -> str:
        """Copies values of distinct states (D, ...) to their rows (N, ...)."""
        return self._graph.op("Gather", states, rows.parents, axis=0)

    def _multiply(self, rows: str, weight: Floats) -> str:
        return multiply(self._graph, rows, weight, self._largest)

    def _deep_output(self) -> tuple[Floats, Floats, Floats]:
        """Returns U_o (E, Q), V_o (E, E), C_o (E, H)."""
        config = self._config
        embedding, query, memory = config.embeddings.size, config.decoder.hidden_size, config.memory_size
        weight = self._weights.matrix("decoder.deep_output.weight", embedding, query + embedding + memory)
        return weight[:, :query], weight[:, query : query + embedding], weight[:, query + embedding :]

    def _first_products(self, cell: CellWeights, context: str, hidden: str) -> tuple[str, str, str]:
        """Returns W_c c_i (D, G), C_o c_i (D, E) and U s_{i-1} (D, G)."""
        graph, size = self._graph, self._config.embeddings.size
        of_context = np.concatenate([cell.input[:, size:], self._deep_output()[2]])  # (G+E, H)
        products = self._multiply(context, of_context)
        gates, output = graph.ops("Split", products, graph.integers(len(cell.bias), size), outputs=2, axis=1)
        recurrent = self._multiply(hidden, cell.hidden)
        if cell.norms is not None:
            recurrent = layer_norm(graph, recurrent, cell.norms.hidden)
        return gates, output, recurrent

    def _of_pieces(self) -> tuple[Floats, Floats, Floats]:
        """Returns E (V, E), [W_y ; V_o] (G+E, E) and [b ; b_o] (G+E,)."""
        cell, size = self._first, self._config.embeddings.size
        bias = np.zeros_like(cell.bias) if cell.norms is not None else cell.bias  # b follows the normalisation
        return (
            self._weights.embedding("target", self._pieces),
            np.concatenate([cell.input[:, :size], self._deep_output()[1]]),
            np.concatenate([bias, self._weights.matrix("decoder.deep_output.bias", size)]),
        )

    def _piece_products(self, previous: str) -> str:
        """Returns [W_y y_{i-1} + b ; V_o y_{i-1} + b_o] (N, G+E) for the last pieces (N,)."""
        graph = self._graph
        if self.table is not None:
            table = graph.input(f"{self._prefix}{TABLE}", np.float32, ["V", self.table.rows.shape[1]])
            return graph.op("Gather", table, previous, axis=0)
        embedding, weight, bias = self._of_pieces()
        rows = graph.op("Gather", graph.array(embedding), previous, axis=0)  # (N, E)
        return graph.op("Add", graph.op("MatMul", rows, graph.array(weight.T)), graph.array(bias))

    def _upper(self, cell: CellWeights, hidden: str, state: CellValues) -> CellValues:
        """Runs a layer above the first one on hidden (N, Q)."""
        graph = self._graph
        inputs, recurrent = self._multiply(hidden, cell.input), self._multiply(state.hidden, cell.hidden)
        if cell.norms is not None:
            inputs = layer_norm(graph, inputs, cell.norms.input)
            recurrent = layer_norm(graph, recurrent, cell.norms.hidden)
        return advance(graph, cell, graph.op("Add", inputs, graph.array(cell.bias)), recurrent, state)

    def _read_source(self, rows: Rows, hidden: str) -> tuple[str, str | None, str | None]:
        """Returns c_i (D, H), α_i (D, S) or None, and the lexical vector (D, E) or None, for s_{i-1} (D, Q)."""
        graph, config = self._graph, self._config
        if config.attention.score == "none":
            context = graph.input(f"{self._prefix}{CONTEXT}", np.float32, ["B", config.memory_size])
            width = graph.op("Slice", graph.op("Shape", rows.grid), graph.integers(1), graph.integers(2))
            sentences = graph.op("Div", rows.cells, width)  # (D,)
            return graph.op("Gather", context, sentences, axis=0), None, None
        scores = graph.op("Add", self._scores(rows, hidden), rows.mask)  # (B, K, S)
        weights = graph.op("Softmax", scores, axis=2)  # (B, K, S)
        memory = graph.input(f"{self._prefix}{MEMORY}", np.float32, ["B", "S", config.memory_size])
        context = self._from_grid(rows, graph.op("MatMul", weights, memory), config.memory_size)  # (D, H)
        return context, self._from_grid(rows, weights, -1), self._lexical(rows, weights)

    def _lexical(self, rows: Rows, weights: str) -> str | None:
        graph, size = self._graph, self._config.embeddings.size
        if not self._config.decoder.lexical:
            return None
        embedded = graph.input(f"{self._prefix}{EMBEDDED}", np.float32, ["B", "S", size])
        mean = graph.op("Tanh", self._from_grid(rows, graph.op("MatMul", weights, embedded), size))  # (D, E) l_i
        weight = self._weights.matrix("decoder.lexical.hidden.weight", size, size)
        return graph.op("Add", graph.op("Tanh", graph.op("MatMul", mean, graph.array(weight.T))), mean)

    def _scores(self, rows: Rows, hidden: str) -> str:
        """Returns e_ij (B, K, S); see `kotrans.model.attention`."""
        graph, config = self._graph, self._config
        attention, query = config.attention, config.decoder.hidden_size
        if attention.score == "location":
            assert attention.max_source_length is not None
            weight = self._weights.matrix("decoder.attention.position.weight", attention.max_source_length, query)
            padding = np.zeros((-len(weight) % POSITIONS, query), np.float32)  # for positions of padding
            scores = graph.op("MatMul", hidden, graph.array(np.concatenate([weight, padding]).T))  # (D, positions)
            length = graph.op("Slice", graph.op("Shape", rows.mask), graph.integers(2), graph.integers(3))  # (1,)
            scores = graph.op("Slice", scores, graph.integers(0), length, graph.integers(1))  # (D, S)
            return graph.op("Gather", scores, rows.grid, axis=0)
        if attention.score == "additive":
            weight = self._weights.matrix("decoder.attention.query.weight", attention.size, query)
            projected = graph.op("MatMul", hidden, graph.array(weight.T))  # (D, A)
            projected = graph.op("Unsqueeze", graph.op("Gather", projected, rows.grid, axis=0), graph.integers(2))
            keys = graph.input(f"{self._prefix}{KEYS}", np.float32, ["B", "S", attention.size])
            energies = graph.op("Tanh", graph.op("Add", projected, graph.op("Unsqueeze", keys, graph.integers(1))))
            energy = self._weights.matrix("decoder.attention.energy.weight", 1, attention.size)
            return graph.op("Squeeze", graph.op("MatMul", energies, graph.array(energy.T)), graph.integers(3))
        if attention.score not in ("cosine", "general", "dot"):
            raise NotImplementedError(f"the engine has no graph of attention.score {attention.score}")
        keys = graph.input(f"{self._prefix}{KEYS}", np.float32, ["B", query, "S"])
        if attention.score == "cosine":
            hidden = unit_vectors(graph, hidden)
        scores = graph.op("MatMul", graph.op("Gather", hidden, rows.grid, axis=0), keys)  # (B, K, S)
        if attention.score == "cosine" and attention.beta == "learned":
            beta = np.exp(self._weights.matrix("decoder.attention.log_beta"))
            scores = graph.op("Mul", scores, graph.array(np.asarray(beta, np.float32)))
        return scores

    def _from_grid(self, rows: Rows, values: str, width: int) -> str:
        """Returns the values (D, width) of a grid (B, K, width); -1 is any width."""
        graph = self._graph
        if width < 0:
            last = graph.op("Slice", graph.op("Shape", values), graph.integers(2), graph.integers(3))  # (1,)
            shape = graph.op("Concat", graph.integers(-1), last, axis=0)
        else:
            shape = graph.integers(-1, width)
        return graph.op("Gather", graph.op("Reshape", values, shape), rows.cells, axis=0)
