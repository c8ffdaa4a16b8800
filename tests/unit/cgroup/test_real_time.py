"""When a worker of a real-time policy would be refused by the kernel for the cpu group that it is in."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cgroup.real_time import obstacle
from circus_cg.spec import Limits, WatcherSpec

BY_GROUP = "CONFIG_CGROUP_SCHED=y\nCONFIG_RT_GROUP_SCHED=y\n"


def watcher(policy: Any = "fifo", **options: Any) -> WatcherSpec:
    return WatcherSpec(name="w", cmd=("true",), sched_policy=policy, **options)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A host with CONFIG_RT_GROUP_SCHED."""
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    return told(tmp_path, config=BY_GROUP)


def told(system: Path, *, config: str | None = None, runtime: str = "950000", command_line: str = "quiet") -> Path:
    if config is not None:
        (system / "proc/config.gz").write_bytes(gzip.compress(config.encode()))
    (system / "proc/sys/kernel/sched_rt_runtime_us").write_text(f"{runtime}\n")
    (system / "proc/cmdline").write_text(f"{command_line}\n")
    return system


def v2(tmp_path: Path, enabled: str = "memory", **more: str) -> Layout:
    group = tmp_path / "group"
    group.mkdir()
    for name, text in {"cgroup.subtree_control": enabled, **more}.items():
        (group / name).write_text(f"{text}\n")
    return Layout("v2", (Hierarchy(2, str(tmp_path), "/group", ("cpu", "memory")),))


@pytest.mark.parametrize(
    ("spec", "place", "told"),
    [
        (watcher(), {}, None),
        (watcher(None, limits=Limits(cpu_max=1.0)), {"others": True, "enabled": "cpu"}, None),
        (watcher("batch", limits=Limits(cpu_max=1.0)), {}, None),
        (watcher(limits=Limits(cpu_max=1.0)), {}, "out of every watcher"),
        (watcher("rr", watcher_limits=Limits(cpu_weight=9)), {}, "cannot use rr"),
        (watcher(), {"others": True}, "out of every watcher"),
        (watcher(), {"enabled": "cpu memory"}, "where nobody enabled the cpu controller"),
        (watcher(), {"cpu.weight": "100"}, "where nobody enabled the cpu controller"),
        (watcher(limits=Limits(cpuset_cpus="0")), {"enabled": "cpuset memory"}, None),
    ],
)
def test_on_v2_anybodys_use_of_the_controller_is_an_obstacle(
    tmp_path: Path, system: Path, spec: WatcherSpec, place: dict[str, Any], told: str | None
) -> None:
    """`others` of the daemon use it, or the group at its place has this file, or the controller `enabled` below it."""
    others = place.pop("others", False)
    found = obstacle(v2(tmp_path, **place), spec, others_use_cpu=others, system=system)
    assert found is None if told is None else told in str(found)


@pytest.mark.parametrize(
    ("kernel", "refuses"),
    [
        ({}, True),
        ({"config": "# CONFIG_RT_GROUP_SCHED is not set\n"}, False),
        ({"runtime": "-1"}, False),
        ({"command_line": "quiet rt_group_sched=0"}, False),
        ({"config": f"{BY_GROUP}CONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED=y\n"}, False),
        (
            {"config": f"{BY_GROUP}CONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED=y\n", "command_line": "rt_group_sched=1"},
            True,
        ),
    ],
)
def test_the_kernel_says_whether_it_does(tmp_path: Path, system: Path, kernel: dict[str, str], refuses: bool) -> None:
    spec = watcher(limits=Limits(cpu_max=1.0))
    found = obstacle(v2(tmp_path), spec, others_use_cpu=False, system=told(system, **kernel))
    assert bool(found) is refuses


def test_without_a_configuration_its_symbols_tell_and_without_them_nothing_is_said(
    tmp_path: Path, system: Path
) -> None:
    layout, spec = v2(tmp_path), watcher(limits=Limits(cpu_max=1.0))
    (system / "proc/config.gz").unlink()
    assert obstacle(layout, spec, others_use_cpu=False, system=system) is None
    (system / "proc/kallsyms").write_text("0000 T sched_fork\n0000 T sched_rt_can_attach\n0000 T x\n")
    assert "CONFIG_RT_GROUP_SCHED" in str(obstacle(layout, spec, others_use_cpu=False, system=system))


def test_on_v1_only_its_own_limits_put_a_worker_into_a_cpu_group(tmp_path: Path, system: Path) -> None:
    layout = Layout("v1", (Hierarchy(1, str(tmp_path), "/", ("cpu", "cpuacct")),))
    limited = watcher(limits=Limits(cpu_max=1.0))
    assert obstacle(layout, limited, others_use_cpu=True, system=system) is None
    (tmp_path / "cpu.rt_runtime_us").write_text("950000\n")
    assert "v1 cpu groups have no cpu.rt_runtime_us" in str(obstacle(layout, limited, others_use_cpu=False))
    assert obstacle(layout, watcher(), others_use_cpu=True) is None
