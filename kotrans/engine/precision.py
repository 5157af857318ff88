"""Chooses between float32 and int8 products by timing both on this processor.

Shape key: N rows, I input width, O output width.
"""

import logging
import statistics
import time
from typing import NamedTuple

import numpy as np
import onnxruntime

from kotrans.config.schema import Config, HardwareConfig
from kotrans.engine.graph_products import largest_exact_weight, multiply
from kotrans.engine.onnx_engine import session_options
from kotrans.engine.onnx_writer import Graph
from kotrans.errors import ConfigError

logger = logging.getLogger(__name__)

_ROWS = 64  # hypotheses of a step
_ROUNDS = 7
_LARGEST_ERROR = 0.05  # of int8 products, relative to the largest value of the float32 product
_GAIN = 1.1  # int8 pays when it is faster by this factor


class Precision(NamedTuple):
    """The precision of matrix products."""

    name: str
    """fp32 or int8."""
    largest: int | None
    """Largest int8 weight, or None for fp32."""


class Probe(NamedTuple):
    """Times of a product of the model's shape."""

    largest: int | None
    """Largest int8 weight whose products are exact on this processor; None if there is none."""
    gain: float
    """Time in fp32 divided by that in int8; 0 if int8 is wrong."""


FP32 = Precision("fp32", None)


def pick_precision(hardware: HardwareConfig, config: Config) -> Precision:
    """Returns the configured precision, where `auto` is int8 if it is faster on this processor.

    int8 that is slower than fp32 is replaced by fp32, with a warning. Raises ConfigError if int8 is not exact.
    """
    if hardware.precision not in ("int8", "auto"):
        return FP32
    probe = time_products(config.decoder.hidden_size, 4 * config.decoder.hidden_size)
    if hardware.precision == "int8" and probe.gain == 0:
        raise ConfigError("hardware.precision: int8 products are not exact on this processor; use fp32")
    if probe.gain >= _GAIN:
        logger.info("translating in int8: %.1f times as fast as fp32 on this processor", probe.gain)
        return Precision("int8", probe.largest)
    message = "translating in fp32: int8 products are only %.1f times as fast on this processor"
    logger.log(logging.WARNING if hardware.precision == "int8" else logging.INFO, message, probe.gain)
    return FP32


def time_products(width: int, output: int) -> Probe:
    """Times x W^T of 64 rows in fp32 and int8, alternately, and compares the results; takes milliseconds."""
    largest = largest_exact_weight()
    if largest is None:
        return Probe(None, 0.0)
    random = np.random.default_rng(0)
    rows = random.uniform(-1, 1, (_ROWS, width)).astype(np.float32)
    weight = random.standard_normal((output, width)).astype(np.float32)
    sessions = []
    for each in (None, largest):
        graph = Graph("product")
        product = multiply(graph, graph.input("rows", np.float32, ["N", width]), weight, each)
        graph.output(product, "product")
        options, values = session_options(graph)
        sessions.append((onnxruntime.InferenceSession(graph.model(), options), values))
    exact, quantized = (session.run(None, {"rows": rows})[0] for session, _ in sessions)
    if np.abs(exact - quantized).max() > _LARGEST_ERROR * np.abs(exact).max():
        return Probe(largest, 0.0)
    times: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for (session, _), of_session in zip(sessions, times, strict=True):
            start = time.perf_counter()
            session.run(None, {"rows": rows})
            of_session.append(time.perf_counter() - start)
    return Probe(largest, statistics.median(times[0]) / statistics.median(times[1]))
