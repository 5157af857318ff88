"""Both engines for the same model, and their probabilities of all pieces."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from model_examples import SOURCE_SIZE, TARGET_SIZE, Sentences
from torch import nn

from kotrans.config.schema import Config
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_engine import OnnxEngine
from kotrans.engine.stepper import Floats, Ints, Stepper, Weights
from kotrans.engine.torch_engine import TorchEngine
from kotrans.model.seq2seq import Seq2Seq

Engine = Stepper[Any]
SPECIAL = [0, 1, 3]  # PAD, BOS, UNK
WORDS = [piece for piece in range(TARGET_SIZE) if piece not in SPECIAL]
ENGINES = ("torch", "onnxruntime")
ROUNDING = {"torch": 1e-12, "onnxruntime": 3e-5}  # torch in float64, onnxruntime in float32


def engine_of(name: str, config: Config, *models: Seq2Seq, **options: Any) -> Engine:
    """Returns an engine for one model or an ensemble; the models are in float64."""
    if name == "torch":
        return TorchEngine(models, **options)
    members = [ModelWeights(arrays(model), config, "model") for model in models]
    return OnnxEngine(members, SOURCE_SIZE, TARGET_SIZE, **options)


def arrays(model: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    """Returns the weights of a model as a checkpoint stores them."""
    return {name: weight.detach().float().numpy() for name, weight in model.named_parameters()}


def start(engine: Engine, batch: Sentences) -> Any:
    return engine.start(batch.source.numpy(), batch.mask.numpy())


def distribution(engine: Engine, state: Any, previous: Ints) -> tuple[Floats, Any, Weights | None]:
    """Returns the log-probabilities (N, words) of all pieces but special ones, the next state and the weights."""
    log_probs, pieces, after, weights = engine.step(state, previous, TARGET_SIZE)
    found = np.full((len(pieces), TARGET_SIZE), np.nan)
    np.put_along_axis(found, pieces[:, : len(WORDS)], log_probs[:, : len(WORDS)], 1)
    assert (np.diff(log_probs[:, : len(WORDS)], axis=1) <= 0).all()
    return found[:, WORDS], after, weights


def force(engine: Engine, state: Any, inputs: npt.NDArray[Any]) -> tuple[Any, Floats, Weights | None]:
    """Steps through inputs (N, T); returns the last state, log-probabilities (N, T, words) and weights (N, T, S)."""
    log_probs, weights = [], []
    for previous in inputs.T:
        found, state, weight = distribution(engine, state, previous)
        log_probs.append(found)
        if weight is not None:
            weights.append(weight)
    return state, np.stack(log_probs, 1), np.stack(weights, 1) if weights else None


def assert_weights(ours: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: float) -> None:
    """Compares attention weights (..., S), where one side may have more positions of padding, which are exactly 0."""
    both = min(ours.shape[-1], expected.shape[-1])
    np.testing.assert_allclose(ours[..., :both], expected[..., :both], rtol=0, atol=tolerance)
    assert not ours[..., both:].any()
    assert not expected[..., both:].any()


def listing(pieces: Sequence[int]) -> Callable[[Sequence[int]], Ints]:
    """Returns a shortlist of the same pieces for every sentence."""
    return lambda source: np.array(sorted(pieces))
