"""How many CPU cores this process may really use: affinity and the quota of its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

# Where the CPU controller of version 1 is mounted, by the names that distributions give it.
_CONTROLLER = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process may run on, or fewer if a quota gives it less time: the quota rounded up, at least 1.

    A container limited to 1.5 cores still sees every core of its machine; more threads than 2 would be stopped
    together again and again when the quota is used up. `root` is where `proc` and `sys` are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (math.ceil(quota) for quota in _quotas(root))
    return min([cores, *quotas])


def _quotas(root: Path) -> Iterator[float]:
    """CPU time for each second, in seconds, of every control group around this process that has a limit.

    Inside a container its own group often stands at the top of the tree, whatever path the kernel tells, so that every
    folder on the way up is asked.
    """
    tree = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        group = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(group) + 1):
            inside = "/".join(group[:depth])
            if not controllers:  # version 2; beside version 1 it is mounted in a folder of its own
                for mount in (tree, tree / "unified"):
                    yield from _limit(" ".join(_lines(mount / inside / "cpu.max")))
            elif "cpu" in controllers.split(","):
                for name in _CONTROLLER:
                    folder = tree / name / inside
                    parts = (*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us"))
                    yield from _limit(" ".join(parts))


def _limit(text: str) -> Iterator[float]:
    """The quota of `quota period`, both in microseconds; none if there is no limit ("max", -1) or no such file."""
    quota, _, period = text.partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        yield int(quota) / int(period)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", errors="replace").split("\n")[:-1]
    except OSError:
        return []
