"""Where the kernel refuses fifo and rr to whoever is in a cpu group: CONFIG_RT_GROUP_SCHED.

Such a kernel gives each new group a real-time budget of nothing. On v1 a file could raise it, on v2 there is none; and
on v2 a worker is in a cpu group as soon as anybody at its place uses the controller.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

from circus_cg.cgroup import files
from circus_cg.cgroup.check import hierarchy_of
from circus_cg.cgroup.hierarchy import Layout
from circus_cg.cgroup.limits import given
from circus_cg.errors import CgroupError
from circus_cg.linux import REAL_TIME
from circus_cg.spec import WatcherSpec

OFF = re.compile(r"\brt_group_sched=(0|n|no|off|false)\b")
ON = re.compile(r"\brt_group_sched=(1|y|yes|on|true)\b")


def uses_cpu(spec: WatcherSpec) -> bool:
    return any(one.partition("_")[0] == "cpu" for one in (*given(spec.limits), *given(spec.watcher_limits)))


def obstacle(layout: Layout, spec: WatcherSpec, *, others_use_cpu: bool, system: Path = Path("/")) -> str | None:
    """`others_use_cpu`: watchers of the same daemon, beside what is found. `system` is where /proc and /boot are."""
    cpu = hierarchy_of(layout, "cpu")
    if spec.sched_policy not in REAL_TIME or cpu is None:
        return None
    if cpu.version == 1:
        if not uses_cpu(spec) or not os.path.exists(os.path.join(cpu.mount, "cpu.rt_runtime_us")):
            return None
        return (
            f"cannot use {spec.sched_policy}: the workers' v1 cpu groups have no cpu.rt_runtime_us;"
            " use another policy, or leave cpu_max and cpu_weight out"
        )
    used = uses_cpu(spec) or others_use_cpu
    if not (used or _is_used_at(cpu.directory)) or not _budgets_are_by_group(system):
        return None
    remedy = (
        "leave cpu_max and cpu_weight out of every watcher" if used else "begin where nobody enabled the cpu controller"
    )
    return (
        f"cannot use {spec.sched_policy}: this kernel gives v2 cpu groups no real-time budget (CONFIG_RT_GROUP_SCHED);"
        f" use another policy, {remedy}, or boot with rt_group_sched=0 (Linux 6.16)"
    )


def _is_used_at(directory: str) -> bool:
    """Groups made there are cpu groups, whatever we ask for; or are in one."""
    try:
        return files.exists(directory, "cpu.weight") or "cpu" in files.read(directory, "cgroup.subtree_control").split()
    except CgroupError:
        return False


def _budgets_are_by_group(system: Path) -> bool:
    """False also where it can't be told: then the kernel has the word when the worker begins."""
    if _text(system / "proc/sys/kernel/sched_rt_runtime_us").strip() == "-1":  # no budgets at all
        return False
    command_line = _text(system / "proc/cmdline")
    if OFF.search(command_line):
        return False
    config = _config(system).splitlines()
    if config:
        disabled = "CONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED=y" in config and not ON.search(command_line)
        return "CONFIG_RT_GROUP_SCHED=y" in config and not disabled
    return " sched_rt_can_attach\n" in _text(system / "proc/kallsyms")  # 100 ms, for who wants fifo or rr


def _config(system: Path) -> str:
    try:
        return zlib.decompress((system / "proc/config.gz").read_bytes(), 31).decode(errors="replace")
    except (OSError, zlib.error):
        return _text(system / f"boot/config-{os.uname().release}")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
