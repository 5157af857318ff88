"""int8 products of the engine stay near float32, and are chosen only where they are exact and faster."""

import logging

import numpy as np
import onnxruntime
import pytest
from engines import WORDS, distribution, engine_of, force, start
from hypothesis import given
from hypothesis import strategies as st
from model_examples import SCORES, sentences, tiny_config, tiny_model

from kotrans.config.schema import Config, HardwareConfig
from kotrans.engine import precision
from kotrans.engine.graph_products import largest_exact_weight, multiply, quantize
from kotrans.engine.onnx_engine import session_options
from kotrans.engine.onnx_writer import Graph
from kotrans.engine.precision import Precision, Probe, pick_precision, time_products
from kotrans.errors import ConfigError

CONFIG = Config.model_validate({"name": "tiny", "corpora": [{"name": "starter"}]})
INT8 = HardwareConfig(precision="int8")


def product(rows: np.ndarray, weight: np.ndarray, largest: int | None) -> np.ndarray:
    graph = Graph("product")
    graph.output(multiply(graph, graph.input("rows", np.float32, ["N", "I"]), weight, largest), "product")
    options, weights = session_options(graph)
    session = onnxruntime.InferenceSession(graph.model(), options)
    (found,) = session.run(None, {"rows": rows})
    assert len(weights) == len(graph.weights)
    return np.asarray(found)


def by_definition(rows: np.ndarray, weight: np.ndarray, largest: int) -> np.ndarray:
    """Returns x W^T with integers for x, from -127 to 127 per row, and for W, in float64."""
    scales = np.maximum(np.abs(rows).max(1, keepdims=True) / np.float32(127), np.finfo(np.float32).tiny)
    integers, weight_scales = quantize(weight, largest)
    sums = np.rint(rows / scales).astype(np.int64) @ integers.astype(np.int64).T
    return sums * scales.astype(np.float64) * weight_scales.astype(np.float64)


@given(st.integers(0, 1000), st.integers(1, 70), st.sampled_from([1, 7, 64, 300]), st.sampled_from([5, 48, 130]))
def test_products_are_the_sums_of_integers_times_the_scales(seed: int, rows: int, width: int, output: int) -> None:
    random, largest = np.random.default_rng(seed), largest_exact_weight()
    assert largest is not None
    x = (random.standard_normal((rows, width)) * 10.0 ** random.integers(-3, 3, (rows, 1))).astype(np.float32)
    weight = random.standard_normal((output, width)).astype(np.float32)
    np.testing.assert_allclose(product(x, weight, largest), by_definition(x, weight, largest), rtol=1e-4, atol=1e-7)


def test_rows_and_weights_of_zeros_give_zeros() -> None:
    zeros, ones = np.zeros((3, 8), np.float32), np.ones((5, 8), np.float32)
    assert not product(zeros, ones, 63).any()
    assert not product(ones, zeros, 63).any()


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((9, 40)).astype(np.float32)
    rows[4] *= 1000
    weight = random.standard_normal((33, 40)).astype(np.float32)
    whole = product(rows, weight, 63)
    for row, expected in zip(rows, whole, strict=True):
        assert np.array_equal(product(row[None], weight, 63)[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_steps_in_int8_stay_near_float32(score: str, layer_norm: bool) -> None:
    layers = {"layers": 2, "layer_norm": layer_norm}
    config, batch = tiny_config(score, decoder=layers, encoder=layers), sentences()
    model = tiny_model(config)
    found = []
    for largest in (None, 63):
        engine = engine_of("onnxruntime", config, model, largest=largest)
        found.append(force(engine, start(engine, batch), batch.inputs.numpy())[1])
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=0.3)


def test_sentences_in_int8_do_not_depend_on_other_sentences() -> None:
    config, batch = tiny_config(encoder={"layers": 2}), sentences()
    engine = engine_of("onnxruntime", config, tiny_model(config), largest=63)
    together, _, _ = distribution(engine, start(engine, batch), batch.inputs[:, 0].numpy())
    for i in range(len(batch.source)):
        alone, _, _ = distribution(engine, start(engine, batch.row(i)), batch.inputs[i, :1].numpy())
        np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-5)
    assert together.shape[1] == len(WORDS)


def test_the_largest_exact_weight_is_exact_on_this_processor_for_the_most_extreme_rows() -> None:
    largest = largest_exact_weight()
    assert largest in (63, 127)
    graph = Graph("exact")
    weight = np.full((512, 32), largest, np.int8)
    rows = graph.input("rows", np.uint8, ["n", 512])
    graph.output(graph.op("MatMulInteger", rows, graph.array(weight)), "sums", np.int32)
    options, weights = session_options(graph)
    (sums,) = onnxruntime.InferenceSession(graph.model(), options).run(
        None, {"rows": np.full((33, 512), 255, np.uint8)}
    )
    assert (sums == 255 * 512 * largest).all()
    assert weights


@pytest.mark.parametrize(
    ("configured", "gain", "expected"),
    [("fp32", 9.0, None), ("auto", 1.5, 63), ("auto", 1.05, None), ("int8", 1.5, 63), ("int8", 0.01, None)],
)
def test_int8_is_used_only_where_it_is_faster(
    configured: str, gain: float, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "time_products", lambda *_: Probe(63, gain))
    hardware = HardwareConfig.model_validate({"precision": configured})
    assert pick_precision(hardware, CONFIG) == Precision("int8" if expected else "fp32", expected)


def test_slow_int8_is_replaced_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precision, "time_products", lambda *_: Probe(63, 0.2))
    with caplog.at_level(logging.INFO):
        pick_precision(INT8, CONFIG)
    ((_, level, message),) = caplog.record_tuples
    assert (level, message) == (
        logging.WARNING, "translating in fp32: int8 products are only 0.2 times as fast on this processor"
    )  # fmt: skip


def test_int8_is_refused_on_a_processor_where_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "largest_exact_weight", lambda: None)
    assert time_products(8, 8) == Probe(None, 0.0)
    with pytest.raises(ConfigError, match=r"^hardware\.precision: int8 products are not exact on this processor"):
        pick_precision(INT8, CONFIG)
    assert pick_precision(HardwareConfig(precision="auto"), CONFIG).name == "fp32"


def test_the_probe_reports_a_gain_for_right_products_and_none_for_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert time_products(32, 64).gain > 0
    monkeypatch.setattr(precision, "multiply", lambda graph, rows, weight, largest: multiply(
        graph, rows, weight if largest is None else weight[::-1], largest
    ))  # fmt: skip
    assert time_products(32, 64).gain == 0
