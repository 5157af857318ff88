"""Several processes that are the ranks of one training, as torchrun would start them, without its seconds."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from kotrans.parallel.distributed import World, join

# Every rank is forked from a process that has imported what takes seconds.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["kotrans.training.train", "tests.tiny_training", __name__])


def in_ranks(size: int, act: Callable[..., Any], *arguments: Any, local_size: int | None = None) -> list[Any]:
    """What act(world, *arguments) gives on each rank, on machines of `local_size` ranks each, one if left out."""
    return in_processes(size, _joined, act, *arguments, local_size=local_size)


def in_processes(size: int, act: Callable[..., Any], *arguments: Any, local_size: int | None = None) -> list[Any]:
    """What act(*arguments) gives in each process of those that torchrun's variables make ranks."""
    board = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun's agent has it
    local = local_size or size
    shared = {
        "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": local, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": board.port,
        "TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": 0,
    }  # fmt: skip
    with ProcessPoolExecutor(size, mp_context=_PROCESSES) as pool:
        ranks = [{**shared, "RANK": rank, "LOCAL_RANK": rank % local} for rank in range(size)]
        futures = [pool.submit(_in_environment, rank, act, arguments) for rank in ranks]
        return [future.result(timeout=120) for future in futures]


def _in_environment(variables: dict[str, Any], act: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    os.environ.update({name: str(value) for name, value in variables.items()})
    torch.set_num_threads(1)
    try:
        return act(*arguments)
    finally:
        if dist.is_initialized():  # so that the others hear of the error at once
            dist.destroy_process_group()


def _joined(act: Callable[..., Any], *arguments: Any) -> Any:
    world = join()
    result = act(world, *arguments)
    world.leave()
    return result


def world_of(rank: int, size: int) -> World:
    """A rank that is asked only what it can answer alone."""
    return World(rank, size, rank, size)
