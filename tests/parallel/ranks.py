"""Starts the ranks of a training as torchrun does, but faster."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from kotrans.parallel.distributed import join

# Ranks are forked from a server process that has imported torch.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["kotrans.training.train", "tests.tiny_training", __name__])


def in_ranks(size: int, act: Callable[..., Any], *arguments: Any, local_size: int | None = None) -> list[Any]:
    """Returns act(world, *arguments) of each rank; `local_size` is the number of ranks per machine (default: all)."""
    return in_processes(size, _joined, act, *arguments, local_size=local_size)


def in_processes(size: int, act: Callable[..., Any], *arguments: Any, local_size: int | None = None) -> list[Any]:
    """Returns act(*arguments) of each process, which has the environment variables of a rank."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # torchrun's agent has the store, too
    local = local_size or size
    shared = {
        "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": local, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port,
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
        if dist.is_initialized():  # so that the other ranks are notified of an error immediately
            dist.destroy_process_group()


def _joined(act: Callable[..., Any], *arguments: Any) -> Any:
    world = join()
    result = act(world, *arguments)
    world.leave()
    return result
