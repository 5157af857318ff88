"""One update: forward and backward over its batches, clip, step.

The optimizer, and the exponential moving average of the weights.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from kotrans.config.schema import TrainingConfig
from kotrans.data.batching import Batch
from kotrans.data.tokenizer import PAD
from kotrans.model.dropout import draw, drawing_from
from kotrans.model.loss import training_loss
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.device import memory_errors
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.shards import ShardPool
from kotrans.training.divergence import DivergedError

Phase = Literal["forward", "backward", "gradients", "optimizer"]


class UpdateResult(NamedTuple):
    """Averages over the real target pieces of all batches of the update, on all ranks."""

    loss: float
    nll: float
    target_tokens: int
    gradient_norm: float
    votes: list[float]  # sums over the ranks


class Shard(NamedTuple):
    """Rows of a batch, and where the random numbers come from that are drawn for them."""

    batch: Batch
    seed: tuple[int, ...]


def run_update(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, batches: Sequence[Batch], config: TrainingConfig,
    *, learning_rate: float, precision: str, shares: ShardPool, seed: tuple[int, ...],
    mark: Callable[[Phase], None] = lambda _: None, world: World = ALONE, votes: Callable[[], list[float]] = list,
) -> UpdateResult:  # fmt: skip
    """Sums the gradients of the batches, clips their norm, and steps. The batches may be on any device.

    What is dropped is drawn from `seed`, the number of the batch and the number of the share. Each rank is given the
    same batches, takes its shares of them, and makes the same step. What the ranks vote on is summed beside.
    `mark` hears when a phase ends: `forward` and `backward` in the thread of each share, `gradients` when all of them
    are there, `optimizer`.
    Raises TrainingError if the loss or the gradient is not finite, or memory runs out; the weights are unchanged then.
    """
    shapes = ", ".join(_shape(batch) for batch in batches)
    tokens = sum(batch.target_tokens for batch in batches)
    parameters, losses = list(model.parameters()), []
    with memory_errors(shapes, "lower batches.tokens"):
        optimizer.zero_grad(set_to_none=True)
        passes = shares.map(
            partial(_backward, model, parameters, tokens, config, precision, mark),
            list(_deal(batches, shares.count, world, seed)),
        )
        for loss, gradients in passes:
            losses.append(loss)
            _add_gradients(parameters, gradients)
        sums = torch.stack(losses).sum(0) if losses else parameters[0].new_zeros(2)
        sums = _add_over_ranks(parameters, torch.cat([sums, sums.new_tensor(votes())]), world)
        mark("gradients")
        norm = clip_grad_norm_(parameters, config.clip_norm)
        # Asked for once: a GPU stops at each number that is read.
        smoothed, nll, *counted, norm = torch.cat([sums, norm.unsqueeze(0)]).tolist()
        if not math.isfinite(smoothed) or not math.isfinite(norm):
            raise DivergedError(f"the loss ({smoothed:g}) or the gradient norm ({norm:g}) is not finite ({shapes})")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        mark("optimizer")
    return UpdateResult(smoothed / tokens, nll / tokens, tokens, norm, counted)


def _deal(batches: Sequence[Batch], count: int, world: World, seed: tuple[int, ...]) -> Iterator[Shard]:
    """The rows of each batch that are this rank's, in at most `count` shares; none if there are too few.

    Ranks and shares are one: two ranks with a share each have the shares that one process would make two of.
    """
    for number, batch in enumerate(batches):
        own = replace(batch, source=batch.source[world.share], target=batch.target[world.share])
        for share, rows in enumerate(own.deal(count)):
            yield Shard(rows, (*seed, number, world.rank + world.size * share))


def _backward(
    model: Seq2Seq, parameters: list[nn.Parameter], tokens: int, config: TrainingConfig, precision: str,
    mark: Callable[[Phase], None], share: Shard,
) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
    """The two losses of a share (2,), and the gradients of the parameters."""
    device = parameters[0].device
    batch = share.batch.to(device)
    # Without autocast's cache, which threads would share: every weight is cast once a pass anyway.
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
        drawing_from(_generator(share.seed, device)),
    ):
        inputs = mixed_inputs(model, batch, config.scheduled_sampling)
        smoothed, nll = training_loss(
            model, batch.source, batch.source_mask, inputs, batch.labels, pad_id=PAD, smoothing=config.label_smoothing
        )
    mark("forward")
    gradients = torch.autograd.grad(smoothed / tokens, parameters, materialize_grads=True)
    mark("backward")
    return torch.stack([smoothed.detach(), nll]), gradients


def _generator(seed: tuple[int, ...], device: torch.device) -> torch.Generator:
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0] >> 1))


@torch.no_grad()
def _add_gradients(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if parameter.grad is None:
            parameter.grad = gradient
        else:
            parameter.grad += gradient


@torch.no_grad()
def _add_over_ranks(parameters: list[nn.Parameter], figures: Tensor, world: World) -> Tensor:
    """Sums the gradients, and the figures (F,) beside them, in one message; a rank that had no rows gives zeros.

    There would be nothing to send earlier: a pass through the recurrence has its gradients at its end.
    """
    if world.size == 1:
        return figures
    own = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
    message = torch.cat([*(gradient.flatten() for gradient in own), figures])
    world.add_up(message)
    *gradients, figures = message.split([*(each.numel() for each in parameters), len(figures)])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.view_as(parameter)
    return figures


def mixed_inputs(model: Seq2Seq, batch: Batch, chance: float) -> Tensor:
    """The decoder's inputs (B, T), some of them the model's own best piece instead of the reference's.

    Scheduled sampling (Bengio et al. 2015, arXiv 1506.03099) in two passes: a first one predicts with the reference
    as history, then each input is replaced with the given chance (Duckworth et al. 2019, arXiv 1906.04331).
    """
    if chance == 0:
        return batch.inputs
    with torch.no_grad():
        logits, _ = model(batch.source, batch.source_mask, batch.inputs)  # (B, T, V)
    predicted = torch.cat([batch.inputs[:, :1], logits.argmax(-1)[:, :-1]], dim=1)  # (B, T) shifted, BOS stays
    replaced = draw(tuple(predicted.shape), chance, predicted.device)  # (B, T)
    return torch.where(replaced & (batch.inputs != PAD), predicted, batch.inputs)


def _shape(batch: Batch) -> str:
    (rows, source), target = batch.source.shape, batch.labels.size(1)
    return f"a batch of {rows} pairs, {source} source by {target} target pieces"


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
