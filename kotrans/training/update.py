"""One update: forward and backward passes, clipping and optimizer step. Also the moving average of the weights."""

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
from kotrans.model.dropout import random_mask, use_generator
from kotrans.model.loss import training_loss
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.memory import memory_errors
from kotrans.parallel.shards import ShardPool
from kotrans.training.divergence import DivergedError

Phase = Literal["forward", "backward", "gradients", "optimizer"]


class UpdateResult(NamedTuple):
    """Means over the target pieces, without padding, of all batches of the update on all ranks."""

    loss: float
    nll: float
    target_tokens: int
    gradient_norm: float  # before clipping
    votes: list[float]  # sums over the ranks


class Shard(NamedTuple):
    """Rows of a batch, and the seed of the random numbers drawn for them."""

    batch: Batch
    seed: tuple[int, ...]


def run_update(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, batches: Sequence[Batch], config: TrainingConfig,
    *, learning_rate: float, precision: str, pool: ShardPool, seed: tuple[int, ...],
    mark: Callable[[Phase], None] = lambda _: None, world: World = ALONE, votes: Callable[[], list[float]] = list,
) -> UpdateResult:  # fmt: skip
    """Sums the gradients of the batches, clips their norm, and takes an optimizer step.

    The batches may be on any device. Every rank passes the same batches, computes its shards of them, and takes the
    same step. Dropout depends on `seed`, the index of the batch and the index of the shard.
    votes: returns values that are summed over the ranks together with the gradients.
    mark: called at the end of each phase: `forward` and `backward` in the thread of each shard, then `gradients` (all
    summed) and `optimizer`.
    Raises TrainingError if the loss or the gradient is not finite or memory runs out; the weights are unchanged then.
    """
    shapes = ", ".join(_describe(batch) for batch in batches)
    tokens = sum(batch.target_tokens for batch in batches)
    parameters, losses = list(model.parameters()), []
    with memory_errors(shapes, "lower batches.tokens"):
        optimizer.zero_grad(set_to_none=True)
        passes = pool.map(
            partial(_backward, model, parameters, tokens, config, precision, mark),
            list(_shards(batches, pool.count, world, seed)),
        )
        for loss, gradients in passes:
            losses.append(loss)
            _add_gradients(parameters, gradients)
        sums = torch.stack(losses).sum(0) if losses else parameters[0].new_zeros(2)
        sums = _add_over_ranks(parameters, torch.cat([sums, sums.new_tensor(votes())]), world)
        mark("gradients")
        norm = clip_grad_norm_(parameters, config.clip_norm)
        # One transfer for all of them: each waits for the GPU.
        smoothed, nll, *vote_sums, norm = torch.cat([sums, norm.unsqueeze(0)]).tolist()
        if not math.isfinite(smoothed) or not math.isfinite(norm):
            raise DivergedError(f"the loss ({smoothed:g}) or the gradient norm ({norm:g}) is not finite ({shapes})")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        mark("optimizer")
    return UpdateResult(smoothed / tokens, nll / tokens, tokens, norm, vote_sums)


def _shards(batches: Sequence[Batch], count: int, world: World, seed: tuple[int, ...]) -> Iterator[Shard]:
    """Yields this rank's rows of each batch in at most `count` shards; none if the batch has too few rows.

    Two ranks with one shard each have the same shards as one process with two.
    """
    for number, batch in enumerate(batches):
        own = replace(batch, source=batch.source[world.share], target=batch.target[world.share])
        for shard, rows in enumerate(own.deal(count)):
            yield Shard(rows, (*seed, number, world.rank + world.size * shard))


def _backward(
    model: Seq2Seq, parameters: list[nn.Parameter], tokens: int, config: TrainingConfig, precision: str,
    mark: Callable[[Phase], None], shard: Shard,
) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
    """Returns the summed losses of a shard (2,), smoothed and not, and the gradients of the parameters."""
    device = parameters[0].device
    batch = shard.batch.to(device)
    # No autocast cache: threads would share it, and each weight is cast only once per pass anyway.
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
        use_generator(_generator(shard.seed, device)),
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
    """Sums the gradients and `figures` (F,) over the ranks in one all-reduce; a rank without rows contributes zeros.

    Gradients of a recurrent network are complete only at the end of the backward pass, so nothing can be sent earlier.
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


def mixed_inputs(model: Seq2Seq, batch: Batch, probability: float) -> Tensor:
    """Returns decoder inputs (B, T), each replaced by the model's own prediction with the given probability.

    Scheduled sampling (Bengio et al. 2015, arXiv 1506.03099) in two passes: the first predicts with the reference as
    history, the second trains on the mixed inputs (Duckworth et al. 2019, arXiv 1906.04331).
    """
    if probability == 0:
        return batch.inputs
    with torch.no_grad():
        logits, _ = model(batch.source, batch.source_mask, batch.inputs)  # (B, T, V)
    predicted = torch.cat([batch.inputs[:, :1], logits.argmax(-1)[:, :-1]], dim=1)  # (B, T) shifted, BOS stays
    replaced = random_mask(tuple(predicted.shape), probability, predicted.device)  # (B, T)
    return torch.where(replaced & (batch.inputs != PAD), predicted, batch.inputs)


def _describe(batch: Batch) -> str:
    (rows, source), target = batch.source.shape, batch.labels.size(1)
    return f"a batch of {rows} pairs, {source} source by {target} target pieces"


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Returns a fused Adam or AdamW over all weights."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(
        model.parameters(),
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        fused=True,
    )


def start_ema(model: nn.Module, config: TrainingConfig) -> dict[str, Tensor] | None:
    """Returns the initial moving average (EMA), a copy of the weights; None if `training.ema` is 0."""
    if config.ema == 0:
        return None
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@torch.no_grad()
def update_ema(ema: dict[str, Tensor], model: nn.Module, decay: float, update: int) -> None:
    """Computes ema += (1 - decay) (weights - ema); early updates use a lower decay, to forget the initial weights."""
    decay = min(decay, (1 + update) / (10 + update))
    for name, parameter in model.named_parameters():
        ema[name].lerp_(parameter, 1 - decay)


@contextmanager
def temporary_weights(weights: dict[str, Tensor] | None, model: nn.Module) -> Iterator[None]:
    """Gives the model other weights inside the block; None leaves it unchanged."""
    if weights is None:
        yield
        return
    trained = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    set_weights(weights, model)
    try:
        yield
    finally:
        set_weights(trained, model)


@torch.no_grad()
def set_weights(weights: dict[str, Tensor], model: nn.Module) -> None:
    """Copies weights into the model's parameters by name."""
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
