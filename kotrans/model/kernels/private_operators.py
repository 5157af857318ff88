"""Operators of PyTorch outside of its public interface, which training uses because they save passes over memory.

Each is tried once against its equation before it is used. If a version of PyTorch lacks it, or it computes something
else, an equivalent of public operations takes its place, and a warning names it.

Shape key: M rows, I input width, O output width.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

Gradient = Callable[[Tensor, Tensor, Tensor], None]
"""Writes the gradient of a function's input into the third argument, from that of its output and from the output."""


def sigmoid_backward(grad: Tensor, output: Tensor, result: Tensor) -> None:
    """Writes grad · σ (1 - σ) into result, which may be grad itself; σ is the output."""
    _gradients()["sigmoid_backward"](grad, output, result)


def tanh_backward(grad: Tensor, output: Tensor, result: Tensor) -> None:
    """Writes grad · (1 - y²) into result, which may be grad itself; y is the output."""
    _gradients()["tanh_backward"](grad, output, result)


def softmax_backward(grad: Tensor, output: Tensor, result: Tensor) -> None:
    """Writes y · (grad - Σ grad y) into result, with sums over the last dimension; y is the output."""
    _gradients()["_softmax_backward_data"](grad, output, result)


@cache
def _gradients() -> dict[str, Gradient]:
    """Returns each gradient by the name of its operator."""
    aten = torch.ops.aten
    private: dict[str, Gradient] = {
        "sigmoid_backward": lambda grad, y, result: aten.sigmoid_backward.grad_input(grad, y, grad_input=result),
        "tanh_backward": lambda grad, y, result: aten.tanh_backward.grad_input(grad, y, grad_input=result),
        "_softmax_backward_data": lambda grad, y, result: aten._softmax_backward_data.out(
            grad, y, y.dim() - 1, y.dtype, grad_input=result
        ),
    }
    public: dict[str, Gradient] = {
        "sigmoid_backward": lambda grad, y, result: _write(result, grad * y * (1 - y)),
        "tanh_backward": lambda grad, y, result: _write(result, grad * (1 - y * y)),
        "_softmax_backward_data": lambda grad, y, result: _write(result, y * (grad - (grad * y).sum(-1, keepdim=True))),
    }
    return {name: own if _is_right(name, own, public[name]) else public[name] for name, own in private.items()}


def _write(result: Tensor, values: Tensor) -> None:
    result.copy_(values)


def _is_right(name: str, private: Gradient, public: Gradient) -> bool:
    """Returns whether an operator has the values of its equation, also when it overwrites its argument."""
    output = torch.linspace(0.01, 0.2, 12, dtype=torch.float64).view(3, 4)
    grad = torch.linspace(-1, 2, 12, dtype=torch.float64).view(3, 4)
    expected, separate, inside = torch.empty_like(grad), torch.empty_like(grad), grad.clone()
    public(grad, output, expected)

    def computed() -> bool:
        private(grad, output, separate)
        if name != "_softmax_backward_data":
            private(inside, output, inside)
        else:
            inside.copy_(separate)
        return torch.allclose(separate, expected) and torch.allclose(inside, expected)

    return _holds(f"aten.{name}", computed)


def layer_norm_backward(
    grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, gain: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns the gradients of inputs (M, I), gain and bias (I,) of a layer normalisation.

    mean and scale (M, 1) are those of `torch.native_layer_norm`.
    """
    return (_private_norm if _has_layer_norm() else _public_norm)(grad, inputs, mean, scale, gain, bias)


def _private_norm(
    grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, gain: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    wanted = [True, True, bias is not None]
    gradients = torch.ops.aten.native_layer_norm_backward(
        grad, inputs, inputs.shape[1:], mean, scale, gain, bias, wanted
    )
    return cast(tuple[Tensor, Tensor, Tensor | None], gradients)


def _public_norm(
    grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, gain: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    normalised, scaled = (inputs - mean) * scale, grad * gain
    mean_product = (scaled * normalised).mean(-1, keepdim=True)
    grad_inputs = scale * (scaled - scaled.mean(-1, keepdim=True) - normalised * mean_product)
    return grad_inputs, (grad * normalised).sum(0), None if bias is None else grad.sum(0)


@cache
def _has_layer_norm() -> bool:
    def computed() -> bool:
        grad, inputs = (torch.linspace(low, 2, 12, dtype=torch.float64).view(3, 4).sin() for low in (-1, -3))
        gain, bias = inputs[0] + 2, inputs[1]
        _, mean, scale = torch.native_layer_norm(inputs, [4], gain, bias, 1e-5)
        found, expected = (norm(grad, inputs, mean, scale, gain, bias) for norm in (_private_norm, _public_norm))
        return all(
            torch.allclose(cast(Tensor, one), cast(Tensor, two)) for one, two in zip(found, expected, strict=True)
        )

    return _holds("aten.native_layer_norm_backward", computed)


@cache
def has_bfloat16_blocks() -> bool:
    """Returns whether oneDNN multiplies bfloat16 weights stored in blocks on this processor."""

    def computed() -> bool:
        weight = torch.linspace(-1, 1, 64 * 32).view(64, 32).to(torch.bfloat16)
        rows = torch.linspace(1, -1, 16 * 32).view(16, 32).to(torch.bfloat16)
        plus, packed = torch.ones(16, 64, dtype=torch.bfloat16), pack_blocks(weight, 16)
        exact = rows.float() @ weight.float().t()
        found = multiply_blocks(rows, packed, None).float(), multiply_blocks(rows, packed, plus).float()
        return all(
            torch.allclose(one, two, rtol=0.02, atol=0.02) for one, two in zip(found, (exact, exact + 1), strict=True)
        )

    operators: Any = torch.ops.mkldnn
    supported = getattr(operators, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported()) and _holds("mkldnn._linear_pointwise", computed)


def pack_blocks(weight: Tensor, rows: int) -> Tensor:
    """Returns weight (O, I) in the blocks of the oneDNN kernel for products of about `rows` rows."""
    return cast(Tensor, torch.ops.mkldnn._reorder_linear_weight(weight, rows))


def multiply_blocks(rows: Tensor, packed: Tensor, plus: Tensor | None) -> Tensor:
    """Returns x W^T (M, O) of rows x (M, I) and a weight in blocks, plus (M, O) added."""
    if plus is None:
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], ""))
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise.binary(rows, plus, packed, None, "add"))


def _holds(operator: str, check: Callable[[], bool]) -> bool:
    """Returns the result of a check; false, with a warning, if it fails or raises."""
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            right = check()
    except (AttributeError, TypeError, ValueError, RuntimeError, NotImplementedError):
        right = False
    if not right:
        logger.warning(
            "PyTorch %s: %s is missing or works differently here; training uses slower operations", torch.__version__,
            operator,
        )  # fmt: skip
    return right
