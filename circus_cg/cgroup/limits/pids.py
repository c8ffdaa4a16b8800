"""pids. Source: "PID" in cgroup-v2.rst; the same file on v1."""

from __future__ import annotations

from collections.abc import Iterator

from circus_cg.cgroup.limits.setting import EXACT, Setting
from circus_cg.spec import Limits

V1 = {"pids_max": EXACT}


def v2(limits: Limits) -> Iterator[Setting]:
    if limits.pids_max is not None:
        yield Setting("pids", "pids.max", str(limits.pids_max))


v1 = v2
