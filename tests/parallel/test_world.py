"""Communication between ranks, and their devices and threads."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from kotrans.config.schema import HardwareConfig
from kotrans.errors import ConfigError, UsageError
from kotrans.parallel.device import set_threads
from kotrans.parallel.distributed import ALONE, World, join
from tests.parallel.ranks import in_ranks

pytestmark = pytest.mark.e2e

LENGTHS = range(8)


def communicate(world: World) -> dict[str, Any]:
    """Returns the results of all operations on this rank."""
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
def test_shares_are_disjoint_and_all_ranks_receive_the_same_values(size: int) -> None:
    results = in_ranks(size, communicate) if size > 1 else [communicate(ALONE)]
    for length in LENGTHS:
        assert sorted(i for each in results for i in each["shares"][length]) == list(range(length))
    for each in results:
        assert each["collected"] == [list(range(length)) for length in LENGTHS]
        assert each["total"] == [sum(1.5 + rank for rank in range(size)), pytest.approx(size * 1e-9)]
        assert each["from_leader"] == {"rank": 0}
        assert each["tensors"] == {"a": [[0, 1, 2], [3, 4, 5]], "b": 0}
    assert [each["leads"] for each in results] == [True, False, False][:size]


def make_in_turn(world: World, folder: Path) -> list[str]:
    """Returns the files that earlier ranks have written."""

    def make() -> list[str]:
        found = sorted(path.name for path in folder.iterdir())
        time.sleep(0.1)  # a rank that does not wait would be too early
        (folder / str(world.rank)).touch()
        return found

    return world.in_turn(make)


def test_rank_0_is_first_then_one_rank_per_machine_then_the_others(tmp_path: Path) -> None:
    found = in_ranks(4, make_in_turn, tmp_path, local_size=2)
    assert found == [[], ["0", "2"], ["0"], ["0", "2"]]


def test_a_single_process_needs_no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert join() is ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"WORLD_SIZE is set, but .*RANK.*; start with torchrun, or unset it"):
        join()


def test_more_ranks_than_gpus_are_refused_with_the_number_of_gpus() -> None:
    world = World(local_rank=torch.cuda.device_count(), size=100, local_size=100)
    with pytest.raises(
        ConfigError, match=r"100 processes on a machine with \d+ GPUs; start one for each .*, or use cpu"
    ):
        world.take_device(torch.device("cuda"))
    with pytest.raises(ConfigError, match="several processes cannot train on mps"):
        world.take_device(torch.device("mps"))
    world.take_device(torch.device("cpu"))
    ALONE.take_device(torch.device("mps"))


def test_ranks_of_a_machine_divide_its_cores_unless_threads_are_configured() -> None:
    before = torch.get_num_threads()
    try:
        cores = set_threads(HardwareConfig())
        assert [set_threads(HardwareConfig(), ranks) for ranks in (1, cores, 10 * cores)] == [cores, 1, 1]
        assert torch.get_num_threads() == 1
        assert set_threads(HardwareConfig(threads=3), 10) == 3
    finally:
        torch.set_num_threads(before)
    assert cores <= (os.cpu_count() or 1)
