"""The number of CPU cores that this process may use, by affinity and by the quotas of its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Returns the number of cores in the process's affinity mask, or its CPU quota rounded up if that is lower.

    A container limited to 1.5 cores sees all cores of its machine; with more than 2 threads it would be throttled.
    root: the folder that contains `proc` and `sys`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *map(math.ceil, _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    """Yields the quotas of this process's control groups and of all groups above them, in cores.

    A container may see its own group at the top of the tree, whichever path the kernel reports.
    """
    tree = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        for folder in (group, *group.parents):
            if not controllers:  # version 2
                yield from _quota(_read(tree / folder / "cpu.max"))
            elif "cpu" in controllers.split(","):  # version 1, which sandboxes such as gVisor still emulate
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                yield from _quota(" ".join(_read(tree / "cpu" / folder / name) for name in names))


def _quota(text: str) -> Iterator[float]:
    """Parses "QUOTA PERIOD" in microseconds. Yields nothing if the quota is missing or unlimited ("max" or -1)."""
    match text.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", errors="replace")
    except OSError:
        return ""
