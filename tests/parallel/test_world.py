"""What the ranks tell each other, and who of them speaks."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError, KotransError, PeerError, TrainingError, UsageError
from kotrans.parallel.device import set_threads
from kotrans.parallel.distributed import ALONE, World, join
from tests.parallel.ranks import in_ranks, world_of

LENGTHS = range(8)


def tell_each_other(world: World) -> dict[str, Any]:
    """What every way of telling gives on this rank."""
    shares = [list(range(length))[world.share] for length in LENGTHS]
    tensors = {"a": torch.arange(6.0).view(2, 3) * (1 + world.rank), "b": torch.tensor(world.rank)}
    received = world.tensors_from_leader(lambda: tensors)
    return {
        "shares": shares,
        "collected": [world.collect(share) for share in shares],
        "total": world.total([1.5 + world.rank, 1e-9]),
        "from_leader": world.from_leader(lambda: {"rank": world.rank}),
        "tensors": {name: tensor.tolist() for name, tensor in received.items()},
        "leads": world.leads,
    }


@pytest.mark.parametrize("size", [1, 3])
def test_shares_are_all_of_it_once_and_what_one_tells_all_hear(size: int) -> None:
    told = in_ranks(size, tell_each_other) if size > 1 else [tell_each_other(ALONE)]
    for length in LENGTHS:
        assert sorted(i for each in told for i in each["shares"][length]) == list(range(length))
    for each in told:
        assert each["collected"] == [list(range(length)) for length in LENGTHS]
        assert each["total"] == [sum(1.5 + rank for rank in range(size)), pytest.approx(size * 1e-9)]
        assert each["from_leader"] == {"rank": 0}
        assert each["tensors"] == {"a": [[0, 1, 2], [3, 4, 5]], "b": 0}
    assert [each["leads"] for each in told] == [True, False, False][:size]


def make_in_turn(world: World, folder: Path) -> list[str]:
    """What was made on this machine before, and by whom it was made everywhere."""

    def make() -> list[str]:
        found = sorted(path.name for path in folder.iterdir())
        time.sleep(0.1)  # whoever does not wait comes too early
        (folder / str(world.rank)).touch()
        return found

    return world.in_turn(make)


def test_rank_0_makes_first_then_one_rank_a_machine_then_the_others(tmp_path: Path) -> None:
    found = in_ranks(4, make_in_turn, tmp_path, local_size=2)
    assert found == [[], ["0", "2"], ["0"], ["0", "2"]]


def who_speaks(world: World, errors: list[KotransError]) -> bool:
    return world.speaks(errors[world.rank])


GONE, REASON, OTHER = PeerError("gone"), TrainingError("the loss is not finite"), TrainingError("out of memory")


@pytest.mark.parametrize(
    ("errors", "speak"),
    [
        ([REASON, REASON, REASON], [True, False, False]),
        ([REASON, OTHER, GONE], [True, True, False]),
        ([GONE, GONE, GONE], [True, False, False]),
    ],
    ids=["the same", "different reasons", "only that others are gone"],
)
def test_an_error_of_several_ranks_is_said_once(errors: list[KotransError], speak: list[bool]) -> None:
    assert in_ranks(3, who_speaks, errors) == speak


def speak_late(world: World) -> bool | None:
    """Rank 2 has a reason; rank 1 hears that others are gone; rank 0 says nothing at all."""
    if world.leads:
        time.sleep(4)
        return None
    if world.rank == 1:
        time.sleep(1)
    return world.speaks(OTHER if world.rank == 2 else GONE)


def test_a_rank_with_a_reason_says_it_if_rank_0_does_not(tmp_path: Path) -> None:
    assert in_ranks(3, speak_late) == [None, False, True]


def test_alone_a_process_needs_no_torchrun_and_says_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert join() is ALONE
    assert ALONE.speaks(GONE)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"WORLD_SIZE is set, but .*RANK.*; start with torchrun, or unset it"):
        join()


def test_a_rank_without_a_device_of_its_own_is_told_how_many_there_are() -> None:
    world = world_of(torch.cuda.device_count(), 100)
    with pytest.raises(ConfigError, match=r"100 processes on a machine with \d+ GPUs; start one for each .*, or take"):
        world.take_device(torch.device("cuda"))
    with pytest.raises(ConfigError, match="several processes cannot train on mps"):
        world.take_device(torch.device("mps"))
    world.take_device(torch.device("cpu"))
    ALONE.take_device(torch.device("mps"))


def test_ranks_of_a_machine_share_its_cores_unless_the_config_says_how_many() -> None:
    before = torch.get_num_threads()
    try:
        cores = set_threads(HardwareConfig())
        assert [set_threads(HardwareConfig(), ranks) for ranks in (1, cores, 10 * cores)] == [cores, 1, 1]
        assert torch.get_num_threads() == 1
        assert set_threads(HardwareConfig(threads=3), 10) == 3
    finally:
        torch.set_num_threads(before)
    assert cores <= (os.cpu_count() or 1)
