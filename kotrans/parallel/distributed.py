"""Several processes that train one model together, as torchrun starts them; alone, a process passes through all of it.

Rank 0 leads: it alone writes files and speaks. Every rank does its share of the same work. What they tell each other
goes through gloo, and gradients through NCCL where they are on GPUs.
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
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from kotrans.errors import ConfigError, KotransError, PeerError, UsageError

T = TypeVar("T")

_SILENCE = timedelta(minutes=30)  # of a rank that is still connected: then it hangs
_PREPARING = timedelta(days=365)  # the same while others may be preparing a large corpus
_ANSWER = 3.0  # seconds for rank 0 to say the error that may be everybody's
# What gloo, NCCL and the sockets below them say where the error has no type of its own.
_GONE = re.compile(r"gloo|nccl|socket|connection|broken pipe|timed out", re.IGNORECASE)
_IN_USE = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """The processes of a training, and which of them this one is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among the processes of this machine
    local_size: int = 1
    board: Store | None = None  # where ranks that cannot reach each other leave word; torchrun keeps it

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """This rank's part of the rows of a tensor, or of any sequence; each item is in one rank's share."""
        return slice(self.rank, None, self.size)

    def collect(self, own: Sequence[T]) -> list[T]:
        """The whole sequence in its order, on every rank, from what each rank made of its share."""
        if self.size == 1:
            return list(own)
        parts: list[Any] = [None] * self.size
        with _peer_errors():
            dist.all_gather_object(parts, list(own))
        return [parts[i % self.size][i // self.size] for i in range(sum(map(len, parts)))]

    def add_up(self, values: Tensor) -> None:
        """Sums each value over the ranks, in place: bit for bit the same on all of them."""
        if self.size > 1:
            with _peer_errors():
                dist.all_reduce(values)

    def total(self, values: Sequence[float]) -> list[float]:
        """Each number summed over the ranks, in float64."""
        sums = torch.tensor(values, dtype=torch.float64)
        self.add_up(sums)
        return sums.tolist()

    def from_leader(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, on every rank; the others make nothing."""
        if self.size == 1:
            return make()
        values: list[Any] = [make() if self.leads else None]
        with _peer_errors():
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def tensors_from_leader(self, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The same for named tensors on the CPU, each sent as it lies in memory."""
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
        """Makes it on rank 0, then on one rank of each other machine, then on all others: they find what is there.

        However long the others take, nobody gives up waiting.
        """
        if self.size == 1:
            return make()
        with _peer_errors():
            group = dist.new_group(backend="gloo", timeout=_PREPARING)
        own_turn = 0 if self.leads else 1 if self.local_rank == 0 else 2
        for turn in range(3):
            if turn == own_turn:
                made = make()
            with _peer_errors():
                _meet(group)
        dist.destroy_process_group(group)
        return made

    def take_device(self, device: torch.device) -> None:
        """Makes `cuda` mean this rank's own GPU. Raises ConfigError if there is none for it."""
        if self.size == 1 or device.type == "cpu":
            return
        if device.type == "mps":
            raise ConfigError("hardware.device: several processes cannot train on mps; take cpu, or one process")
        if self.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"hardware.device: {self.local_size} processes on a machine with {torch.cuda.device_count()} GPUs; "
                f"start one for each (--nproc-per-node {torch.cuda.device_count()}), or take cpu"
            )
        torch.cuda.set_device(self.local_rank)

    def speaks(self, error: KotransError) -> bool:
        """Whether this rank is the one to say its error.

        Rank 0 says what is everybody's error. That others are gone is said once, and only if none of them left word.
        """
        if self.board is None:
            return True
        is_reason = not isinstance(error, PeerError)
        try:
            if self.board.add("reasons", int(is_reason)) > 0 and not is_reason:
                return False
            if self.leads:
                self.board.set("said", str(error))
                return True
            said = self._said_by_leader()
            return said != str(error) if is_reason else said is None and self.board.add("witnesses", 1) == 1
        except RuntimeError:  # the board is gone, too
            return True

    def _said_by_leader(self) -> str | None:
        assert self.board is not None
        latest = time.monotonic() + _ANSWER
        while not self.board.check(["said"]):  # its own waiting would write to the console when in vain
            if time.monotonic() > latest:
                return None
            time.sleep(0.05)
        return self.board.get("said").decode()

    def leave(self) -> None:
        """Waits for the others to have come to their end, too."""
        if self.size > 1:
            self.total([0.0])
            dist.destroy_process_group()


ALONE = World()


def join() -> World:
    """Connects this process with the others that torchrun started; ALONE without torchrun.

    Raises UsageError if what should say where they are is not all there.
    """
    told = os.environ
    if told.get("WORLD_SIZE", "1") == "1":
        return ALONE
    try:
        with _peer_errors(), _address_errors(told.get("MASTER_PORT")):
            board, rank, size = next(rendezvous("env://"))
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(
                backend, store=PrefixStore("group", board), rank=rank, world_size=size, timeout=_SILENCE
            )
    except ValueError as error:
        raise UsageError(f"WORLD_SIZE is set, but {error}; start with torchrun, or unset it") from None
    local_rank, local_size = int(told.get("LOCAL_RANK", "0")), int(told.get("LOCAL_WORLD_SIZE", "1"))
    return World(rank, size, local_rank, local_size, PrefixStore("board", board))


@contextmanager
def _address_errors(port: str | None) -> Iterator[None]:
    """Inside the block, a port that another program listens at becomes a UsageError."""
    try:
        yield
    except RuntimeError as error:
        if not _IN_USE.search(str(error)):
            raise
        raise UsageError(
            f"--master-port {port}: address in use, by another training or program; "
            "give torchrun another --master-port, or --standalone"
        ) from None


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Inside the block, what comes of a rank that is gone becomes a PeerError."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _GONE.search(str(error)):
            raise
        raise PeerError(
            "another process of this training has ended or cannot be reached; find out why, and go on with --resume"
        ) from None


def _meet(group: dist.ProcessGroup) -> None:
    """Returns when all ranks are here. A signal is heard meanwhile, which gloo's own waiting would not."""
    meeting = dist.all_reduce(torch.zeros(1), group=group, async_op=True)
    while not meeting.is_completed():
        time.sleep(0.05)
    meeting.wait()
