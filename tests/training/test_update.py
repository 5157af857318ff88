"""One update: gradients, clipping, label smoothing, dropout, shards, and the moving average of the weights."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kotrans.config.schema import Config
from kotrans.data.batching import Batch
from kotrans.data.tokenizer import BOS, EOS, PAD
from kotrans.model.build import build_model
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.shards import ShardPool
from kotrans.training.update import UpdateResult, mixed_inputs, run_update, start_ema, temporary_weights, update_ema
from tests.tiny_training import tiny_config

pytestmark = pytest.mark.e2e

SOURCES = [[5, 6, 7, EOS], [8, EOS], [9, 10, 11, 12, 13, EOS], [6, EOS], [5, 5, EOS]]
TARGETS = [[7, EOS], [8, 9, 10, EOS], [11, EOS], [5, 6, 7, 8, 9, EOS], [12, 13, EOS]]
WITHOUT_DROPOUT = {"embedding": 0, "layers": 0, "output": 0}


def batch(rows: slice) -> Batch:
    return Batch.of(SOURCES[rows], TARGETS[rows])


def small(text: Path, **training: float) -> tuple[Config, Seq2Seq]:
    config = tiny_config(text, dropout=WITHOUT_DROPOUT, training={"clip_norm": 1e9, "label_smoothing": 0.1} | training)
    return config, build_model(config, 20, 20).double()


def update(model: Seq2Seq, config: Config, *batches: Batch) -> UpdateResult:
    optimizer = torch.optim.SGD(model.parameters())
    return run_update(
        model, optimizer, batches, config.training, learning_rate=0.1, precision="fp32", pool=ShardPool(1), seed=(1,)
    )


def gradients(model: Seq2Seq) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def test_accumulated_batches_have_the_gradient_of_their_union(text: Path) -> None:
    config, together = small(text)
    _, apart = small(text)
    one = update(together, config, batch(slice(None)))
    three = update(apart, config, batch(slice(0, 1)), batch(slice(1, 4)), batch(slice(4, 5)))
    torch.testing.assert_close(gradients(apart), gradients(together), rtol=1e-12, atol=1e-14)
    assert three[:-1] == pytest.approx(one[:-1], rel=1e-12)
    assert one.target_tokens == sum(map(len, TARGETS))


def test_gradients_are_clipped_only_above_the_clip_norm(text: Path) -> None:
    config, free = small(text)
    cut_config, cut = small(text, clip_norm=0.01)
    found, clipped = update(free, config, batch(slice(None))), update(cut, cut_config, batch(slice(None)))
    assert float(gradients(free).norm()) == pytest.approx(found.gradient_norm)
    assert clipped.gradient_norm == found.gradient_norm  # the norm before clipping
    torch.testing.assert_close(gradients(cut), gradients(free) * 0.01 / found.gradient_norm, rtol=1e-3, atol=0)


def test_the_step_uses_the_given_learning_rate(text: Path) -> None:
    config, model = small(text)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    update(model, config, batch(slice(None)))
    for old, parameter in zip(before, model.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter, old - 0.1 * parameter.grad)


def test_label_smoothing_is_in_the_loss_and_not_in_the_perplexity(text: Path) -> None:
    config, model = small(text, label_smoothing=0.3)
    plain_config, plain_model = small(text, label_smoothing=0.0)
    smoothed, plain = update(model, config, batch(slice(None))), update(plain_model, plain_config, batch(slice(None)))
    assert smoothed.nll == pytest.approx(plain.nll, rel=1e-12)
    assert plain.loss == plain.nll
    assert abs(smoothed.loss - smoothed.nll) > 1e-4


def test_scheduled_sampling_replaces_inputs_by_predictions_except_bos_and_padding(text: Path) -> None:
    _, model = small(text)
    model.eval()
    whole = batch(slice(None))
    inputs = mixed_inputs(model, whole, 0.999999)
    logits, _ = model(whole.source, whole.source_mask, whole.inputs)  # (B, T, V)
    best = logits.argmax(-1)[:, :-1]  # (B, T - 1)
    real = whole.inputs[:, 1:] != PAD
    assert bool((inputs[:, 0] == BOS).all())
    assert torch.equal(inputs[:, 1:][real], best[real])
    assert bool((inputs[:, 1:][~real] == PAD).all())
    assert torch.equal(mixed_inputs(model, whole, 0.0), whole.inputs)


def test_the_ema_follows_its_formula(text: Path) -> None:
    config, model = small(text, ema=0.9)
    average = start_ema(model, config.training)
    assert average is not None
    by_hand = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for number in range(1, 101):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        update_ema(average, model, config.training.ema, number)
        decay = min(0.9, (1 + number) / (10 + number))
        for name, parameter in model.named_parameters():
            by_hand[name] = decay * by_hand[name] + (1 - decay) * parameter.detach()
    for name, value in by_hand.items():
        torch.testing.assert_close(average[name], value)


def test_temporary_weights_are_replaced_by_the_trained_ones_even_after_an_error(text: Path) -> None:
    _, model = small(text)
    trained = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    average = {name: torch.full_like(parameter, math.pi) for name, parameter in model.named_parameters()}

    def fail() -> None:
        with temporary_weights(average, model):
            assert all(bool((parameter == math.pi).all()) for parameter in model.parameters())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # also if the validation fails
        fail()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, trained[name])


@pytest.mark.parametrize("count", [2, 3, 9])
def test_shards_of_a_batch_have_the_gradient_of_the_whole(text: Path, count: int) -> None:
    config, together = small(text)
    _, apart = small(text)
    whole = update(together, config, batch(slice(None)))
    optimizer = torch.optim.SGD(apart.parameters())
    shared = run_update(
        apart, optimizer, [batch(slice(None))], config.training, learning_rate=0.1, precision="fp32",
        pool=ShardPool(count), seed=(1,),
    )  # fmt: skip
    torch.testing.assert_close(gradients(apart), gradients(together), rtol=1e-12, atol=1e-14)
    assert shared[:-1] == pytest.approx(whole[:-1], rel=1e-12)


def dropped(text: Path, *, seed: int, count: int = 2) -> Tensor:
    """Returns the gradient of an update with dropout."""
    config = tiny_config(text, dropout={"embedding": 0.5, "recurrent": 0.3, "source_word": 0.2})
    model = build_model(config, 20, 20)
    run_update(
        model, torch.optim.SGD(model.parameters()), [batch(slice(None))] * 2, config.training, learning_rate=0.1,
        precision="fp32", pool=ShardPool(count), seed=(seed,),
    )  # fmt: skip
    return gradients(model)


def test_dropout_masks_depend_on_the_seed_only(text: Path) -> None:
    first = dropped(text, seed=1)
    torch.rand(1000)
    for _ in range(10):  # the order of threads varies
        assert torch.equal(dropped(text, seed=1), first)
    assert not torch.equal(dropped(text, seed=2), first)


def test_dropout_masks_differ_between_shards_and_batches(text: Path) -> None:
    masks: list[Tensor] = []
    config = tiny_config(text, dropout={"embedding": 0.5, "layers": 0, "output": 0})
    model = build_model(config, 20, 20)
    model.encoder.register_forward_pre_hook(lambda module, inputs: masks.append(inputs[0] == 0))
    same = Batch.of([SOURCES[0]] * 2, [TARGETS[0]] * 2)
    run_update(
        model, torch.optim.SGD(model.parameters()), [same, same], config.training, learning_rate=0.1,
        precision="fp32", pool=ShardPool(2), seed=(1,),
    )  # fmt: skip
    assert len(masks) == 4
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 4


def test_every_shard_runs_on_one_thread_and_the_caller_keeps_its_setting() -> None:
    torch.set_num_threads(2)
    pool = ShardPool(2)
    assert list(pool.map(lambda _: torch.get_num_threads(), range(4))) == [1] * 4
    assert torch.get_num_threads() == 2


def test_threads_without_a_shard_work_inside_operations() -> None:
    assert ShardPool.of_batches(8, 1024).count == 2
    assert list(ShardPool.of_batches(8, 1024).map(lambda _: torch.get_num_threads(), range(2))) == [4, 4]
    assert ShardPool.of_batches(8, 100).count == 1
    assert ShardPool.of_batches(16, 100_000).count == 8
    assert list(ShardPool.of_batches(16, 100_000).map(lambda _: torch.get_num_threads(), range(2))) == [2, 2]
