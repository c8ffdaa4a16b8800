"""memory: hard, high, low, swap, group OOM kill. Source: "Memory" in cgroup-v2.rst; memory.rst for v1."""

from __future__ import annotations

from collections.abc import Iterator

from circus_cg.cgroup.limits.setting import EXACT, Setting, Support
from circus_cg.spec import Limits

MEMSW = "memory.memsw.limit_in_bytes"  # memory and swap together; never below the limit of memory

V1 = {
    "memory_max": EXACT,
    "memory_high": Support("refused", "v1 has no throttling threshold; use memory_max, or boot with cgroup v2"),
    "memory_low": Support("approximate", "memory.soft_limit_in_bytes only guides reclaim when the host is short"),
    "memory_swap_max": Support(
        "approximate", "memory and swap are limited in their sum, so that unused memory_max may be swap"
    ),
    "memory_oom_group": Support(
        "approximate", "v1 kills one process, and the daemon the rest of the worker's group a moment later"
    ),
}


def v2(limits: Limits) -> Iterator[Setting]:
    if limits.memory_low is not None:
        yield Setting("memory", "memory.low", str(limits.memory_low))
    if limits.memory_high is not None:
        yield Setting("memory", "memory.high", str(limits.memory_high))
    if limits.memory_max is not None:
        yield Setting("memory", "memory.max", str(limits.memory_max))
    if limits.memory_swap_max is not None:
        yield Setting("memory", "memory.swap.max", str(limits.memory_swap_max))
    if limits.memory_oom_group:
        yield Setting("memory", "memory.oom.group", "1")


def v1(limits: Limits) -> Iterator[Setting]:
    if limits.memory_low is not None:
        yield Setting("memory", "memory.soft_limit_in_bytes", str(limits.memory_low))
    if limits.memory_max is not None:
        yield Setting("memory", "memory.limit_in_bytes", str(limits.memory_max))
        if limits.memory_swap_max is not None:  # after it, since it begins unlimited
            both = limits.memory_max + limits.memory_swap_max
            yield Setting("memory", MEMSW, str(both))
