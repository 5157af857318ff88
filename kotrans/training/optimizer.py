"""The optimizer, and the exponential moving average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kotrans.config.schema import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Adam or AdamW over all weights, in its fused kernel (MPS has it, too)."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(
        model.parameters(),
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        fused=True,
    )


def start_average(model: nn.Module, config: TrainingConfig) -> dict[str, Tensor] | None:
    """The moving average before the first update: the weights themselves; None if it is off."""
    if config.ema == 0:
        return None
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, update: int) -> None:
    """average += (1 - decay) (weights - average); the decay warms up, or the first weights would linger."""
    decay = min(decay, (1 + update) / (10 + update))
    for name, parameter in model.named_parameters():
        average[name].lerp_(parameter, 1 - decay)


@contextmanager
def weights_of(average: dict[str, Tensor] | None, model: nn.Module) -> Iterator[None]:
    """The model with its averaged weights inside the block; nothing changes if there are none."""
    if average is None:
        yield
        return
    trained = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    _copy(average, model)
    try:
        yield
    finally:
        _copy(trained, model)


@torch.no_grad()
def _copy(weights: dict[str, Tensor], model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
