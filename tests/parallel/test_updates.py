"""Updates of several ranks change the weights as one process with all rows does."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from kotrans.config.schema import Config
from kotrans.data.batching import Batch
from kotrans.data.tokenizer import EOS
from kotrans.errors import TrainingError
from kotrans.model.build import build_model
from kotrans.parallel.distributed import ALONE, World
from kotrans.parallel.shards import ShardPool
from kotrans.training.resume import copy_leader_weights
from kotrans.training.update import run_update
from tests.parallel.ranks import in_ranks
from tests.tiny_training import tiny_config

pytestmark = pytest.mark.e2e

PIECES = 20
DROPOUT = {"embedding": 0.3, "layers": 0.2, "output": 0.2, "recurrent": 0.1, "source_word": 0.1}
CONFIG = tiny_config(
    Path("text"), dropout=DROPOUT, encoder={"layers": 2},
    training={"clip_norm": 0.5, "label_smoothing": 0.1, "scheduled_sampling": 0.3},
)  # fmt: skip


class Trained(NamedTuple):
    """The result of some updates."""

    weights: dict[str, Any]  # as lists
    figures: list[tuple[float, ...]]
    votes: list[list[float]]


def some_batches(sizes: list[int]) -> list[Batch]:
    """Returns batches of the given numbers of pairs, with zero to six pieces per side."""
    draw = torch.Generator().manual_seed(3)

    def sentence() -> list[int]:
        length = int(torch.randint(0, 7, (1,), generator=draw))
        return [*torch.randint(EOS + 1, PIECES, (length,), generator=draw).tolist(), EOS]

    return [Batch.of([sentence() for _ in range(size)], [sentence() for _ in range(size)]) for size in sizes]


def train_updates(world: World, config: Config, groups: list[list[Batch]], count: int) -> Trained:
    """Runs updates in float64, with `count` shards of a batch per rank."""
    model = build_model(config, PIECES, PIECES).double()
    optimizer = torch.optim.Adam(model.parameters())
    results = [
        run_update(
            model, optimizer, batches, config.training, learning_rate=0.05, precision="fp32",
            pool=ShardPool(count), seed=(1, number), world=world, votes=lambda: [float(world.rank), 1.0],
        )
        for number, batches in enumerate(groups)
    ]  # fmt: skip
    weights = {name: parameter.tolist() for name, parameter in model.named_parameters()}
    return Trained(weights, [result[:-1] for result in results], [result.votes for result in results])


@pytest.mark.parametrize(("size", "count"), [(2, 1), (3, 1), (2, 2)])
def test_ranks_train_like_one_process_with_the_same_number_of_shards(size: int, count: int) -> None:
    """Including dropout and sampling. The last batches have fewer rows than there are ranks."""
    big = some_batches([4, 6, 5, 6, 4, 5, 3])
    groups = [big[:1], big[1:4], big[4:], some_batches([1]), some_batches([1, 2])]
    alone = train_updates(ALONE, CONFIG, groups, size * count)
    ranks = in_ranks(size, train_updates, CONFIG, groups, count)
    assert [each.weights for each in ranks[1:]] == [ranks[0].weights] * (size - 1)  # bit for bit
    for name, weights in alone.weights.items():
        torch.testing.assert_close(as_tensor(ranks[0].weights[name]), as_tensor(weights), rtol=1e-9, atol=1e-11)
    for each in ranks:
        assert each.votes == [[sum(range(size)), size]] * len(groups)
        for figures, expected in zip(each.figures, alone.figures, strict=True):
            assert figures == pytest.approx(expected, rel=1e-9)
    assert any(norm > 0.5 for *_, norm in alone.figures)  # clipping took effect


def as_tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def train_on_nan(world: World) -> str:
    """Returns the error message when the loss of only one rank is not finite."""
    model = build_model(CONFIG, PIECES, PIECES)
    with torch.no_grad():
        model.source_embedding.weight[7] = math.nan  # occurs only in the second row
    before = [parameter.detach().clone() for parameter in model.parameters()]
    batch = Batch.of([[5, EOS], [7, EOS]], [[5, EOS], [5, EOS]])
    with pytest.raises(TrainingError) as error:
        run_update(
            model, torch.optim.Adam(model.parameters()), [batch], CONFIG.training, learning_rate=1, precision="fp32",
            pool=ShardPool(1), seed=(1,), world=world,
        )  # fmt: skip
    for old, parameter in zip(before, model.parameters(), strict=True):
        assert torch.equal(old.nan_to_num(), parameter.nan_to_num())
    return str(error.value)


def test_a_non_finite_loss_of_one_rank_stops_all_ranks_before_the_weights_change() -> None:
    messages = in_ranks(2, train_on_nan)
    assert messages[0] == messages[1]
    assert messages[0].startswith("the loss (nan) or the gradient norm (nan) is not finite (a batch of 2 pairs")


def weights_taken_over(world: World) -> list[Tensor]:
    model = build_model(tiny_config(Path("text"), seed=world.rank), PIECES, PIECES)
    copy_leader_weights(model, world)
    return [parameter.detach() for parameter in model.parameters()]


def test_all_ranks_start_with_the_weights_of_rank_0() -> None:
    expected = build_model(tiny_config(Path("text"), seed=0), PIECES, PIECES)
    for weights in in_ranks(2, weights_taken_over):
        assert all(map(torch.equal, weights, expected.parameters()))
