"""Matrix products x W^T of the step graph, in float32 or int8.

Shape key: N rows, I input width, O output width.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from kotrans.engine.model_weights import Floats
from kotrans.engine.onnx_writer import Graph

_ZERO = 128  # the zero point of activations, which are unsigned: processors have products of unsigned by signed bytes
_MICROSOFT = "com.microsoft"


class QuantizedWeight(NamedTuple):
    """W in int8, symmetric around 0."""

    integers: npt.NDArray[np.int8]  # (O, I)
    scales: Floats  # (O,)


def quantize(weight: Floats, largest: int) -> QuantizedWeight:
    """Returns weight (O, I) with integers from -largest to largest and a scale per row."""
    scales = np.abs(weight).max(1) / np.float32(largest)  # (O,)
    integers = np.rint(weight / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    return QuantizedWeight(integers, scales)


class QuantizedRows(NamedTuple):
    """Names of x in uint8 and of its scale per row."""

    integers: str  # (N, I)
    scales: str  # (N, 1)


def quantize_rows(graph: Graph, rows: str) -> QuantizedRows:
    """Quantizes rows (N, I), each by its own largest absolute value, so that no row depends on another."""
    largest = graph.op("ReduceMax", graph.op("Abs", rows), axes=[1], keepdims=1)  # (N, 1)
    scales = graph.op("Div", largest, graph.array(np.float32(127)))
    scales = graph.op("Max", scales, graph.array(np.finfo(np.float32).tiny))  # (N, 1)
    flat = graph.op("Squeeze", scales, graph.integers(1))  # (N,)
    zeros = graph.op("Expand", graph.array(np.array(_ZERO, np.uint8)), graph.op("Shape", flat))  # (N,)
    return QuantizedRows(graph.op("QuantizeLinear", rows, flat, zeros, axis=0), scales)


def multiply(graph: Graph, rows: str, weight: Floats, largest: int | None) -> str:
    """Returns x W^T (N, O) of rows x (N, I), weight W (O, I). largest: of int8 weights; None multiplies in float32."""
    if largest is None:
        return graph.op("MatMul", rows, graph.array(weight.T))
    quantized = quantize(weight, largest)
    return multiply_quantized(
        graph, quantize_rows(graph, rows), graph.array(quantized.integers.T), graph.array(quantized.scales)
    )


def multiply_quantized(graph: Graph, rows: QuantizedRows, integers: str, scales: str) -> str:
    """Returns x W^T (N, O) of quantized rows, for integers (I, O) of W^T and scales (O,)."""
    one, zero = graph.array(np.float32(1)), graph.array(np.array(_ZERO, np.uint8))
    products = graph.op("MatMulIntegerToFloat", rows.integers, integers, one, scales, zero, domain=_MICROSOFT)
    return graph.op("Mul", products, rows.scales)


@cache
def largest_exact_weight() -> int | None:
    """Returns the largest int8 weight whose products are exact on this processor: 127 or 63, or None.

    Without VNNI, AMX or dot-product instructions pairs of products are added in 16 bits, with saturation, which sums
    of two products with weights up to 64 never reach.
    """
    for largest in (127, 63):
        graph = Graph("exact")
        rows = graph.input("rows", np.uint8, ["n", 64])
        weight = np.full((64, 48), largest, np.int8)
        weight[:, 1::2] = -largest
        graph.output(graph.op("MatMulInteger", rows, graph.array(weight)), "sums", np.int32)
        extreme = np.full((7, 64), 255, np.uint8)
        extreme[1::2] = 254
        (sums,) = onnxruntime.InferenceSession(graph.model(with_weights=True)).run(None, {"rows": extreme})
        if np.array_equal(sums, extreme.astype(np.int32) @ weight.astype(np.int32)):
            return largest
    return None
