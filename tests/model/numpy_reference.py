"""Reference implementation of the model in NumPy float64, written from the equations and not from the code.

One sentence at a time, one vector at a time: there is no batch, no padding and no mask here to get wrong, and nothing
is computed ahead or kept.

Shape key: S source positions, T target steps, I input width, H state width, M memory width, Q decoder state width,
G number of gates, V target pieces.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The order in which the rows of the stacked matrices belong to gates.
GATES = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}


@dataclass(frozen=True)
class Norm:
    """Layer normalisation: mean 0 and variance 1 over the elements of one vector, then gain and bias."""

    gain: Array
    bias: Array | None = None

    def __call__(self, x: Array) -> Array:
        normal = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-5)
        return self.gain * normal if self.bias is None else self.gain * normal + self.bias


@dataclass(frozen=True)
class CellWeights:
    """W (G*H, I), U (G*H, H) and b (G*H) of a cell, and the GRU's second bias (H)."""

    kind: str
    inputs: Array
    hidden: Array
    bias: Array
    bias_new: Array | None = None
    input_norm: Norm | None = None
    hidden_norm: Norm | None = None
    long_term_norm: Norm | None = None


@dataclass(frozen=True)
class State:
    """h (H), and C (H) of an LSTM."""

    hidden: Array
    long_term: Array


@dataclass(frozen=True)
class ScoreWeights:
    """A score function by name, with its parameters."""

    kind: str
    matrices: dict[str, Array] = field(default_factory=dict)
    scale: bool = False


@dataclass(frozen=True)
class Affine:
    """x -> W x + b."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        return self.weight @ x + self.bias


@dataclass(frozen=True)
class ModelWeights:
    """All weights of a model. An encoder layer has one cell per direction."""

    source_embedding: Array
    target_embedding: Array
    encoder: list[list[CellWeights]]
    score: ScoreWeights
    decoder: list[CellWeights]
    bridges: list[Affine]
    deep_output: Affine
    softmax: Affine
    lexical: Array | None = None
    lexical_softmax: Array | None = None


@dataclass(frozen=True)
class Encoding:
    """States h_j (S, M), the input of s_0, and the last state of every direction."""

    memory: Array
    first: Array
    final: Array


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def zero_state(size: int) -> State:
    return State(np.zeros(size), np.zeros(size))


def cell_step(cell: CellWeights, x: Array, state: State) -> State:
    """Returns the next state after input x (I)."""
    from_input, from_hidden = cell.inputs @ x, cell.hidden @ state.hidden
    if cell.input_norm is not None and cell.hidden_norm is not None:
        from_input, from_hidden = cell.input_norm(from_input), cell.hidden_norm(from_hidden)
    names = GATES[cell.kind]
    wx = dict(zip(names, np.split(from_input + cell.bias, len(names)), strict=True))
    uh = dict(zip(names, np.split(from_hidden, len(names)), strict=True))
    if cell.kind == "lstm":
        input_gate, forget_gate, output_gate = (sigmoid(wx[gate] + uh[gate]) for gate in "ifo")
        candidate = np.tanh(wx["g"] + uh["g"])
        long_term = forget_gate * state.long_term + input_gate * candidate
        shown = long_term if cell.long_term_norm is None else cell.long_term_norm(long_term)
        return State(output_gate * np.tanh(shown), long_term)
    if cell.kind == "gru":
        assert cell.bias_new is not None
        reset, update = (sigmoid(wx[gate] + uh[gate]) for gate in "rz")
        new = np.tanh(wx["n"] + reset * (uh["n"] + cell.bias_new))
        return State((1 - update) * new + update * state.hidden, state.long_term)
    return State(np.tanh(wx["h"] + uh["h"]), state.long_term)


def run_cell(cell: CellWeights, inputs: Array) -> Array:
    """Returns states (S, H) of inputs (S, I), read from first to last."""
    state = zero_state(cell.hidden.shape[1])
    states = []
    for x in inputs:
        state = cell_step(cell, x, state)
        states.append(state.hidden)
    return np.array(states)


def encode(layers: list[list[CellWeights]], inputs: Array) -> Encoding:
    """Encodes the embeddings (S, I) of one sentence."""
    states = inputs
    for cells in layers:
        forward = run_cell(cells[0], states)
        if len(cells) == 1:
            states = forward
            continue
        backward = run_cell(cells[1], states[::-1])[::-1]
        states = np.concatenate([forward, backward], axis=1)
    if len(layers[-1]) == 1:
        return Encoding(states, states[-1], states[-1])
    size = layers[-1][0].hidden.shape[1]
    forward_last, backward_first = states[-1, :size], states[0, size:]
    return Encoding(states, backward_first, np.concatenate([forward_last, backward_first]))


def score(weights: ScoreWeights, s: Array, h: Array, position: int) -> float:
    """Returns e_ij of the state s (Q) before the step and the encoder state h (M) at a position, counted from 0."""
    matrix = weights.matrices
    if weights.kind == "additive":
        both = np.concatenate([matrix["W_s"], matrix["W_h"]], axis=1)
        return float(matrix["v"] @ np.tanh(both @ np.concatenate([s, h])))
    if weights.kind == "cosine":
        key = matrix["projection"] @ h if "projection" in matrix else h
        return float(matrix["beta"] * (s @ key) / np.sqrt((s @ s) * (key @ key)))
    if weights.kind == "location":
        return float(matrix["W_a"][position] @ s)
    divisor = np.sqrt(len(s)) if weights.scale else 1.0
    if weights.kind == "general":
        return float(s @ matrix["W_a"] @ h / divisor)
    assert weights.kind == "dot"
    return float(s @ h / divisor)


def attend(weights: ScoreWeights, s: Array, memory: Array) -> Array:
    """Returns alpha_i (S) over every position of memory (S, M)."""
    return softmax(np.array([score(weights, s, h, position) for position, h in enumerate(memory)]))


def run_model(weights: ModelWeights, source: list[int], inputs: list[int]) -> tuple[Array, Array | None]:
    """Returns logits (T, V) and alpha (T, S) of one pair; inputs are y_0 … y_{T-1}."""
    encoding = encode(weights.encoder, weights.source_embedding[source])
    states = [State(np.tanh(bridge(encoding.first)), np.zeros(len(bridge.bias))) for bridge in weights.bridges]
    logits, alphas = [], []
    for previous in inputs:
        y = weights.target_embedding[previous]
        if weights.score.kind == "none":
            context = encoding.final
        else:
            alpha = attend(weights.score, states[0].hidden, encoding.memory)
            context = sum((a * h for a, h in zip(alpha, encoding.memory, strict=True)), np.zeros(len(encoding.final)))
            alphas.append(alpha)
        states[0] = cell_step(weights.decoder[0], np.concatenate([y, context]), states[0])
        top = states[0].hidden
        for layer in range(1, len(states)):
            states[layer] = cell_step(weights.decoder[layer], top, states[layer])
            top = top + states[layer].hidden
        hidden = np.tanh(weights.deep_output(np.concatenate([top, y, context])))
        scores = weights.softmax(hidden)
        if weights.lexical is not None and weights.lexical_softmax is not None:
            mean = np.tanh(sum(a * weights.source_embedding[x] for a, x in zip(alpha, source, strict=True)))
            scores = scores + weights.lexical_softmax @ (np.tanh(weights.lexical @ mean) + mean)
        logits.append(scores)
    return np.array(logits), np.array(alphas) if alphas else None
