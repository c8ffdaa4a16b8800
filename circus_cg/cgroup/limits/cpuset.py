"""cpuset. Source: "Cpuset" in cgroup-v2.rst; cpusets.rst for v1, where a fresh group needs both before it is joined."""

from __future__ import annotations

from collections.abc import Iterator

from circus_cg.cgroup.limits.setting import EXACT, Setting
from circus_cg.spec import Limits

V1 = {"cpuset_cpus": EXACT, "cpuset_mems": EXACT}
FILES = ("cpuset.cpus", "cpuset.mems")


def v2(limits: Limits) -> Iterator[Setting]:
    if limits.cpuset_cpus is not None:
        yield Setting("cpuset", "cpuset.cpus", limits.cpuset_cpus)
    if limits.cpuset_mems is not None:
        yield Setting("cpuset", "cpuset.mems", limits.cpuset_mems)


v1 = v2
