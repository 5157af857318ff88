"""Data-parallel training in several processes started by torchrun. A single process passes through all of it.

Rank 0 leads: only it writes files and prints progress. Objects and weights are exchanged through gloo, gradients on
GPUs through NCCL.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from kotrans.errors import ConfigError, PeerError, UsageError

T = TypeVar("T")

_TIMEOUT = timedelta(minutes=30)  # for a rank that is connected but does not answer
_PREPARING_TIMEOUT = timedelta(days=365)  # the same while another rank may be preparing a large corpus
# Messages of gloo, NCCL and sockets that have no exception type of their own.
_PEER_LOST = re.compile(r"gloo|nccl|socket|connection|broken pipe|timed out", re.IGNORECASE)
_ADDRESS_IN_USE = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """The processes of a training, and the position of this process among them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among the processes of this machine
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """The slice of a sequence or of a tensor's rows that belongs to this rank. The slices are disjoint."""
        return slice(self.rank, None, self.size)

    def collect(self, own: Sequence[T]) -> list[T]:
        """Gathers the results of all ranks for their shares. Returns them in the original order on every rank."""
        if self.size == 1:
            return list(own)
        parts: list[Any] = [None] * self.size
        with _peer_errors():
            dist.all_gather_object(parts, list(own))
        return [parts[i % self.size][i // self.size] for i in range(sum(map(len, parts)))]

    def add_up(self, values: Tensor) -> None:
        """Sums a tensor over the ranks in place, with bitwise identical results on all of them."""
        if self.size > 1:
            with _peer_errors():
                dist.all_reduce(values)

    def total(self, values: Sequence[float]) -> list[float]:
        """Returns each number summed over the ranks in float64."""
        sums = torch.tensor(values, dtype=torch.float64)
        self.add_up(sums)
        return sums.tolist()

    def from_leader(self, make: Callable[[], T]) -> T:
        """Calls `make` on rank 0 only, and returns its result on every rank."""
        if self.size == 1:
            return make()
        values: list[Any] = [make() if self.leads else None]
        with _peer_errors():
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def tensors_from_leader(self, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The same as `from_leader` for named CPU tensors, which are sent without pickling."""
        made = make() if self.leads else {}
        kinds = self.from_leader(lambda: {name: (tensor.shape, tensor.dtype) for name, tensor in made.items()})
        tensors = {
            name: made[name] if self.leads else torch.empty(shape, dtype=dtype)
            for name, (shape, dtype) in kinds.items()
        }
        if self.size > 1:
            with _peer_errors():
                for tensor in tensors.values():
                    dist.broadcast(tensor, 0)
        return tensors

    def in_turn(self, make: Callable[[], T]) -> T:
        """Calls `make` on rank 0, then on one rank of each other machine, then on the remaining ranks.

        Later ranks find the files of earlier ones. The waiting ranks have no timeout.
        """
        if self.size == 1:
            return make()
        with _peer_errors():
            group = dist.new_group(backend="gloo", timeout=_PREPARING_TIMEOUT)
        own_turn = 0 if self.leads else 1 if self.local_rank == 0 else 2
        for turn in range(3):
            if turn == own_turn:
                made = make()
            with _peer_errors():
                _barrier(group)
        dist.destroy_process_group(group)
        return made

    def take_device(self, device: torch.device) -> None:
        """Makes `cuda` refer to this rank's own GPU. Raises ConfigError if there are not enough GPUs."""
        if self.size == 1 or device.type == "cpu":
            return
        if device.type == "mps":
            raise ConfigError("hardware.device: several processes cannot train on mps; use cpu, or one process")
        if self.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"hardware.device: {self.local_size} processes on a machine with {torch.cuda.device_count()} GPUs; "
                f"start one for each (--nproc-per-node {torch.cuda.device_count()}), or use cpu"
            )
        torch.cuda.set_device(self.local_rank)

    def leave(self) -> None:
        """Waits until all ranks have finished, and disconnects."""
        if self.size > 1:
            self.total([0.0])
            dist.destroy_process_group()


ALONE = World()


def join() -> World:
    """Connects this process with the others started by torchrun. Returns ALONE without torchrun.

    Raises UsageError if torchrun's environment variables are incomplete.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ALONE
    try:
        with _peer_errors(), _address_errors():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=_TIMEOUT)
    except ValueError as error:
        raise UsageError(f"WORLD_SIZE is set, but {error}; start with torchrun, or unset it") from None
    local_rank, local_size = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return World(dist.get_rank(), dist.get_world_size(), local_rank, local_size)


@contextmanager
def _address_errors() -> Iterator[None]:
    """Inside the block, a port that is already in use becomes a UsageError."""
    try:
        yield
    except RuntimeError as error:
        if not _ADDRESS_IN_USE.search(str(error)):
            raise
        raise UsageError(
            f"--master-port {os.environ.get('MASTER_PORT')}: address in use, by another training or program; "
            "give torchrun another --master-port, or --standalone"
        ) from None


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Inside the block, the failure to reach another rank becomes a PeerError."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _PEER_LOST.search(str(error)):
            raise
        raise PeerError(
            "another process of this training has ended or cannot be reached; see its own message, "
            "and continue with --resume"
        ) from None


def _barrier(group: dist.ProcessGroup) -> None:
    """Waits for all ranks. Unlike gloo's own barrier, it can be interrupted by a signal."""
    barrier = dist.all_reduce(torch.zeros(1), group=group, async_op=True)
    while not barrier.is_completed():
        time.sleep(0.05)
    barrier.wait()
