"""Models written here are read by the onnx package as they were meant."""

import numpy as np
import pytest
from engines import arrays
from model_examples import CELLS, SCORES, SOURCE_SIZE, TARGET_SIZE, tiny_config, tiny_model

from kotrans.engine.encoder_graph import encoder_graph
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_writer import Graph
from kotrans.engine.step_graph import step_graph

onnx = pytest.importorskip("onnx")


def test_values_of_every_kind_are_read_back() -> None:
    graph, inner = Graph("outer"), None
    x = graph.input("x", np.float32, ["N", 300])
    large = np.arange(600, dtype=np.float32).reshape(2, 300)
    y = graph.op("Gemm", x, graph.array(large), transB=1, alpha=-0.5)
    inner = graph.subgraph("body")
    inner.output(inner.input("inside", np.int64, []), "out", np.int64, rank=0)
    graph.op("Scan", y, body=inner, num_scan_inputs=1, scan_input_axes=[0, -1], directions=[])
    graph.op("LSTM", y, direction="reverse", activations=["Tanh", "Sigmoid"])
    graph.output(graph.array(np.array([[-1, 2**40]], np.int64)), "z", np.int64)
    read = onnx.load_from_string(graph.model(with_weights=True)).graph
    assert [each.op_type for each in read.node] == ["Gemm", "Scan", "LSTM", "Identity"]
    gemm, scan, lstm, _ = ({a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in read.node)
    assert gemm == {"transB": 1, "alpha": -0.5}
    assert (scan["num_scan_inputs"], list(scan["scan_input_axes"])) == (1, [0, -1])
    assert scan["body"].input[0].name == "inside"
    assert (lstm["direction"], list(lstm["activations"])) == (b"reverse", [b"Tanh", b"Sigmoid"])
    found = [onnx.numpy_helper.to_array(each) for each in read.initializer]
    assert any(np.array_equal(each, large) for each in found)
    assert any(np.array_equal(each, [[-1, 2**40]]) for each in found)
    dimensions = read.input[0].type.tensor_type.shape.dim
    assert (dimensions[0].dim_param, dimensions[1].dim_value) == ("N", 300)


@pytest.mark.parametrize("largest", [None, 63])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("score", SCORES)
def test_the_graphs_of_every_model_are_valid(score: str, cell: str, layer_norm: bool, largest: int | None) -> None:
    layers = {"cell": cell, "layers": 2, "layer_norm": layer_norm}
    config = tiny_config(score, encoder=layers, decoder=layers)
    weights = ModelWeights(arrays(tiny_model(config)), config, "model")
    graphs = [encoder_graph(weights, SOURCE_SIZE, largest)]
    graphs += [step_graph([weights], TARGET_SIZE, largest, shortlist=each).graph for each in (False, True)]
    for graph in graphs:
        onnx.checker.check_model(onnx.load_from_string(graph.model(with_weights=True)), full_check=largest is None)
