"""One update: forward and backward over its batches, clip, step."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from kotrans.batching import Batch
from kotrans.config.config import TrainingConfig
from kotrans.errors import TrainingError
from kotrans.loss import TrainingLoss
from kotrans.model.seq2seq import Seq2Seq
from kotrans.tokenizer import PAD

# As the CPU, cuDNN and cuBLAS, and MPS say it; CUDA itself has an error of its own.
_OUT_OF_MEMORY = re.compile("can't allocate memory|ALLOC_FAILED|out of memory", re.IGNORECASE)


class UpdateResult(NamedTuple):
    """Averages over the real target pieces of all batches of the update."""

    loss: float
    nll: float
    target_tokens: int
    gradient_norm: float


def run_update(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, batches: Sequence[Batch], config: TrainingConfig,
    *, learning_rate: float, precision: str,
) -> UpdateResult:  # fmt: skip
    """Sums the gradients of the batches, clips their norm, and steps. The batches may be on any device.

    Raises TrainingError if the loss or the gradient is not finite, or memory runs out; the weights are unchanged then.
    """
    shapes = ", ".join(_shape(batch) for batch in batches)
    tokens = sum(batch.target_tokens for batch in batches)
    loss = nll = 0.0
    with memory_errors(shapes, "lower batches.tokens"):
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            smoothed, plain = _backward(model, batch, tokens, config, precision)
            loss, nll = loss + smoothed, nll + plain
        norm = float(clip_grad_norm_(model.parameters(), config.clip_norm))
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(f"the loss ({loss:g}) or the gradient norm ({norm:g}) is not finite ({shapes})")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
    return UpdateResult(loss / tokens, nll / tokens, tokens, norm)


def _backward(model: Seq2Seq, batch: Batch, tokens: int, config: TrainingConfig, precision: str) -> tuple[float, float]:
    batch = batch.to(model.softmax.weight.device)
    with torch.autocast(batch.source.device.type, torch.bfloat16, enabled=precision == "bf16"):
        inputs = mixed_inputs(model, batch, config.scheduled_sampling)
        training_loss = TrainingLoss(model, pad_id=PAD, smoothing=config.label_smoothing)
        loss = training_loss(batch.source, batch.source_mask, inputs, batch.labels)
    (loss.smoothed / tokens).backward()
    return loss.smoothed.item(), loss.nll.item()


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
    replaced = torch.rand(predicted.shape, device=predicted.device) < chance  # (B, T)
    return torch.where(replaced & (batch.inputs != PAD), predicted, batch.inputs)


@contextmanager
def memory_errors(what: str, remedy: str) -> Iterator[None]:
    """Inside the block, memory that runs out becomes a TrainingError saying in what, and what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise TrainingError(f"out of memory ({what}); {remedy}") from None


def _shape(batch: Batch) -> str:
    (rows, source), target = batch.source.shape, batch.labels.size(1)
    return f"a batch of {rows} pairs, {source} source by {target} target pieces"
