"""Operators that PyTorch may change are tried first, and replaced by their equations if they fail."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from model_examples import PAD, sentences, tiny_config, tiny_model
from torch import Tensor

from kotrans.model.kernels import private_operators
from kotrans.model.kernels.products import PackedMatrix
from kotrans.model.loss import sequence_loss

REAL = torch.ops.aten
OPERATORS = ("sigmoid_backward", "tanh_backward", "_softmax_backward_data", "native_layer_norm_backward")


class Aten:
    """torch.ops.aten with one operator missing, raising or returning zeros."""

    def __init__(self, operator: str, fault: str) -> None:
        self._operator, self._fault = operator, fault

    def __getattr__(self, name: str) -> Any:
        if name != self._operator:
            return getattr(REAL, name)
        if self._fault == "missing":
            raise AttributeError(name)
        return Faulty(self._fault)


class Faulty:
    """An operator with two overloads, as the ones it replaces."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def __call__(self, *arguments: Any, grad_input: Tensor | None = None) -> Any:
        if self._fault == "raising":
            raise RuntimeError("signature changed")
        if grad_input is not None:
            return grad_input.zero_()
        return tuple(torch.zeros_like(argument) for argument in (arguments[1], arguments[5], arguments[6]))

    grad_input = out = __call__


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    """Operators are tried again in each test, and after the last one."""
    caches = private_operators._gradients, private_operators._has_layer_norm, private_operators.has_bfloat16_blocks
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


def gradients(*, plain: bool) -> list[Tensor]:
    model, batch = tiny_model(tiny_config(encoder={"layer_norm": True}, decoder={"layer_norm": True})), sentences()
    model.train_by_plain_steps(plain)
    output, _ = model.output(batch.source, batch.mask, batch.inputs)
    sequence_loss(output, model.softmax, batch.labels, pad_id=PAD, smoothing=0.1).smoothed.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def assert_plain_gradients() -> None:
    for found, expected in zip(gradients(plain=False), gradients(plain=True), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_every_operator_is_right_in_this_version_of_pytorch(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert_plain_gradients()
    assert caplog.text == ""


@pytest.mark.parametrize("fault", ["missing", "raising", "wrong"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_training_has_the_same_gradients_without_an_operator(
    operator: str, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.ops, "aten", Aten(operator, fault))
    with caplog.at_level(logging.WARNING):
        assert_plain_gradients()
    assert [record.getMessage() for record in caplog.records] == [
        f"PyTorch {torch.__version__}: aten.{operator} is missing or works differently here; "
        "training uses slower operations"
    ]


@pytest.mark.parametrize("fault", ["missing", "raising", "wrong"])
def test_bfloat16_products_are_right_without_the_kernel_of_blocks(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Mkldnn:
        def _is_mkldnn_bf16_supported(self) -> bool:
            return True

        def _reorder_linear_weight(self, weight: Tensor, rows: int) -> Tensor:
            if fault == "missing":
                raise AttributeError("_reorder_linear_weight")
            return weight

        def _linear_pointwise(self, rows: Tensor, packed: Tensor, *_: Any) -> Tensor:
            if fault == "raising":
                raise RuntimeError("signature changed")
            return torch.zeros(len(rows), len(packed), dtype=rows.dtype)

    monkeypatch.setattr(torch.ops, "mkldnn", Mkldnn())
    weight, rows = (torch.randn(size, 8).to(torch.bfloat16) for size in (6, 5))
    with caplog.at_level(logging.WARNING):
        packed = PackedMatrix(weight, 5)
    assert not packed.in_blocks
    torch.testing.assert_close(packed.product(rows), rows @ weight.t())
    assert "mkldnn._linear_pointwise is missing or works differently here" in caplog.text
