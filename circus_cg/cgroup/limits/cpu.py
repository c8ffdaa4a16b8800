"""cpu: quota and weight. Source: "CPU" in cgroup-v2.rst; sched-bwc.rst for v1."""

from __future__ import annotations

from collections.abc import Iterator

from circus_cg.cgroup.limits.setting import EXACT, Setting, Support
from circus_cg.spec import Limits

PERIOD = 100_000  # microseconds, the kernel's default
LEAST_QUOTA = 1_000  # microseconds, the kernel's minimum

V1 = {
    "cpu_max": EXACT,
    "cpu_weight": Support("approximate", "cpu.shares has another scale: weight 100 becomes 1024 shares"),
}


def quota(cpus: float) -> int:
    """Microseconds of CPU a period."""
    return max(LEAST_QUOTA, round(cpus * PERIOD))


def v2(limits: Limits) -> Iterator[Setting]:
    if limits.cpu_max is not None:
        yield Setting("cpu", "cpu.max", f"{quota(limits.cpu_max)} {PERIOD}")
    if limits.cpu_weight is not None:
        yield Setting("cpu", "cpu.weight", str(limits.cpu_weight))


def v1(limits: Limits) -> Iterator[Setting]:
    """cpu.cfs_period_us is left alone: a group has the kernel's default from birth."""
    if limits.cpu_max is not None:
        yield Setting("cpu", "cpu.cfs_quota_us", str(quota(limits.cpu_max)))
    if limits.cpu_weight is not None:
        yield Setting("cpu", "cpu.shares", str(max(2, limits.cpu_weight * 1024 // 100)))
