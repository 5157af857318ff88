"""The number of usable cores respects affinity and the quotas of control groups."""

import os
from pathlib import Path

import pytest
import torch

from kotrans.config.schema import HardwareConfig
from kotrans.parallel.cores import available_cores
from kotrans.parallel.device import set_threads

ALLOWED = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tree(root: Path, membership: str, files: dict[str, str]) -> Path:
    """Writes the files in which the kernel reports the memberships and limits."""
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_control_groups_all_cores_of_the_affinity_mask_count(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == ALLOWED


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is available on Linux")
def test_a_process_with_an_affinity_of_one_core_has_one() -> None:
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(every)})
    try:
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, every)


V2, V1 = "0::/user.slice/job\n", "5:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n"


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (V2, {"sys/fs/cgroup/user.slice/job/cpu.max": "100000 100000\n"}),
        (V2, {"sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n",
              "sys/fs/cgroup/user.slice/cpu.max": "1000 9000\n"}),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "20000 100000\n"}),  # a container sees its own group at the top
        ("0::/../other\n", {"sys/fs/cgroup/cpu.max": "20000 100000\n"}),
        (V1, {"sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "99000\n",
              "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n"}),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}),
    ],
    ids=["v2", "v2 group above", "v2 container", "v2 outside the namespace", "v1", "v1 container"],
)  # fmt: skip
def test_a_quota_of_less_than_a_core_leaves_one(membership: str, files: dict[str, str], tmp_path: Path) -> None:
    assert available_cores(tree(tmp_path, membership, files)) == 1


def test_a_quota_is_rounded_up(tmp_path: Path) -> None:
    root = tree(tmp_path, V2, {"sys/fs/cgroup/user.slice/job/cpu.max": "110000 100000\n"})
    assert available_cores(root) == min(ALLOWED, 2)


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (V2, {"sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n"}),
        (V2, {"sys/fs/cgroup/other/cpu.max": "1000 100000\n"}),  # a group of other processes
        (V1, {"sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
              "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n"}),
        (V2, {"sys/fs/cgroup/user.slice/job/cpu.max": "6400000 100000\n"}),  # more than there are cores
        (V2, {"sys/fs/cgroup/user.slice/job/cpu.max": "0 0\n"}),
    ],
    ids=["v2 max", "other group", "v1 -1", "generous", "nonsense"],
)  # fmt: skip
def test_without_a_lower_quota_the_affinity_counts(membership: str, files: dict[str, str], tmp_path: Path) -> None:
    assert available_cores(tree(tmp_path, membership, files)) == ALLOWED


def test_configured_threads_override_the_available_cores() -> None:
    assert set_threads(HardwareConfig(threads=3)) == torch.get_num_threads() == 3
    assert set_threads(HardwareConfig()) == torch.get_num_threads() == available_cores()
