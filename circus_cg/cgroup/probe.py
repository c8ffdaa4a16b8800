"""What this host offers to cgroups, as data: layout, abilities, capabilities, and how well each limit can be kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from circus_cg.cgroup import check, files, hierarchy
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cgroup.limits import V1_SUPPORT
from circus_cg.cgroup.tree import crowd
from circus_cg.errors import CgroupError, HostError
from circus_cg.spec import IoMax, Limits


class OfV2(NamedTuple):
    """Something that a v2 hierarchy gives, even one without controllers."""

    name: str
    means: str
    since: tuple[int, int]  # Linux
    otherwise: str


OF_V2 = (
    OfV2("kill at once", "cgroup.kill", (5, 14), "workers are killed by signals in rounds, which is slower"),
    OfV2("birth in the group", "CLONE_INTO_CGROUP", (5, 7), "a worker joins its groups before exec instead"),
    OfV2("told when empty", "cgroup.events", (4, 5), "a member's end is waited for instead"),
)
CAPABILITIES = {  # bit -> name, what does not work without it
    0: ("CAP_CHOWN", "files for workers of another user"),
    1: ("CAP_DAC_OVERRIDE", "groups below a root that another user owns"),
    5: ("CAP_KILL", "signals to workers of another user"),
    6: ("CAP_SETGID", "gid and groups of workers"),
    7: ("CAP_SETUID", "uid of workers"),
    21: ("CAP_SYS_ADMIN", "device groups and namespaces"),
    23: ("CAP_SYS_NICE", "a nice below the daemon's own"),
    24: ("CAP_SYS_RESOURCE", "rlimits above the daemon's own, lower oom_score_adj, or short pressure windows"),
}
ROOT_WORKERS = "a worker that runs as root can leave its groups and lift its limits; set uid in its watcher"
SAMPLES = Limits(
    cpu_max=1.0,
    cpu_weight=100,
    cpuset_cpus="0",
    cpuset_mems="0",
    memory_max=1 << 30,
    memory_high=1 << 29,
    memory_low=1 << 20,
    memory_swap_max=0,
    memory_oom_group=True,
    pids_max=100,
    io_max=(IoMax(device="8:0", rbps=1 << 20),),
    io_weight=100,
)


class Ability(msgspec.Struct, frozen=True):
    """Something the host has or lacks; `text` says how it is done, or what is lost and the remedy."""

    name: str
    there: bool
    text: str


class Grade(msgspec.Struct, frozen=True):
    """How well a limit can be kept here: exact, approximate or refused, and why."""

    limit: str
    grade: str
    text: str


class Report(msgspec.Struct, frozen=True):
    """`obstacles`: why workers can't be contained here, each with its remedy; () if they can.

    `warnings`: what containment does not hold.
    """

    kernel: str
    layout: Layout | None
    obstacles: tuple[str, ...]
    abilities: tuple[Ability, ...]
    limits: tuple[Grade, ...]
    warnings: tuple[str, ...]


def probe(cgroup_root: str | None, proc: str = "/proc") -> Report:
    """Looks only; makes and moves nothing."""
    kernel = os.uname().release
    try:
        layout = hierarchy.find(cgroup_root, proc)
    except HostError as none:
        return Report(kernel, None, (str(none),), tuple(_capabilities(proc)), (), ())
    abilities = (*_abilities(layout, _version(kernel), proc), *_capabilities(proc))
    warnings = (ROOT_WORKERS,) if os.geteuid() == 0 else ()
    return Report(kernel, layout, tuple(_obstacles(layout)), abilities, tuple(_grades(layout)), warnings)


def _obstacles(layout: Layout) -> Iterator[str]:
    needed = {id(h): h for h in (layout.unified, layout.of("memory")) if h is not None}
    for one in needed.values():
        if not os.access(one.directory, os.W_OK):
            yield f"cannot make groups in {one.directory}: it is not writable for us; run as root, or have it delegated"
        try:
            crowded = crowd(one, frozenset({"cpu", "memory", "pids"}), {os.getpid()})
        except CgroupError as unreadable:
            crowded = f"{unreadable}; run as root"
        if crowded:
            yield crowded
    if not needed:
        yield "cannot hold workers: neither a v2 hierarchy nor a v1 memory hierarchy here; mount cgroup2"


def _abilities(layout: Layout, kernel: tuple[int, int], proc: str) -> Iterator[Ability]:
    unified, memory = layout.unified, layout.of("memory")
    for needed in OF_V2:
        yield _of_v2(needed, unified, kernel)
    yield _freezer(layout, kernel)
    yield _oom_events(memory)
    yield _peak(memory, kernel)
    pressure = unified is not None and os.path.isdir(f"{proc}/pressure")
    lacking = "no pressure; boot with psi=1" if unified else "v1 has no pressure; mount cgroup2 beside v1"
    yield Ability("pressure", pressure, "cpu, memory and io.pressure" if pressure else lacking)


def _of_v2(needed: OfV2, unified: Hierarchy | None, kernel: tuple[int, int]) -> Ability:
    if unified is None:
        text = f"pure v1 has no {needed.means}: {needed.otherwise}; mount cgroup2 beside v1"
        return Ability(needed.name, False, text)
    if kernel < needed.since:
        version = ".".join(map(str, needed.since))
        return Ability(needed.name, False, f"no {needed.means} before Linux {version}: {needed.otherwise}")
    return Ability(needed.name, True, needed.means)


def _freezer(layout: Layout, kernel: tuple[int, int]) -> Ability:
    if layout.unified is not None and kernel >= (5, 2):
        return Ability("freeze", True, "cgroup.freeze")
    there = layout.unified is None and layout.of("freezer") is not None
    return Ability("freeze", there, "freezer.state" if there else "no freezer; mount cgroup2 (Linux 5.2)")


def _oom_events(memory: Hierarchy | None) -> Ability:
    if memory is None:
        return Ability("OOM events", False, "no memory controller here; enable it (cgroup_enable=memory)")
    if memory.version == 2:
        return Ability("OOM events", True, "memory.events")
    there = files.exists(memory.directory, "cgroup.event_control")
    return Ability("OOM events", there, "memory.oom_control by eventfd" if there else "counted, but not told at once")


def _peak(memory: Hierarchy | None, kernel: tuple[int, int]) -> Ability:
    if memory is not None and memory.version == 1:
        return Ability("memory peak", True, "memory.max_usage_in_bytes")
    there = memory is not None and kernel >= (5, 19)
    return Ability("memory peak", there, "memory.peak" if there else "peaks are unknown; memory.peak needs Linux 5.19")


def _capabilities(proc: str) -> Iterator[Ability]:
    """Those that are missing; the rest goes without saying."""
    try:
        with open(f"{proc}/self/status") as status:
            effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return
    for bit, (name, lost) in CAPABILITIES.items():
        if not effective >> bit & 1:
            yield Ability(name, False, f"without it: no {lost}; run with the capability if you need that")


def _grades(layout: Layout) -> Iterator[Grade]:
    """Each limit by itself, but swap with the memory limit that v1 needs for it."""
    for name in V1_SUPPORT:
        rest = Limits(memory_max=SAMPLES.memory_max) if name == "memory_swap_max" else Limits()
        sample = getattr(_samples_for(layout), name)
        found = [f for f in check.check(layout, replace(rest, **{name: sample})) if f.limit == name]
        if not found:
            yield Grade(name, "exact", V1_SUPPORT[name].why if _on_v1(layout, name) else "")
        else:
            yield Grade(name, "refused" if found[0].severity == "error" else "approximate", found[0].text)


def _samples_for(layout: Layout) -> Limits:
    """CPU 0 or node 0 may be none of ours."""
    one = check.hierarchy_of(layout, "cpuset")
    if one is None:
        return SAMPLES
    cpus, nodes = check.available(one, "cpuset.cpus"), check.available(one, "cpuset.mems")
    return replace(SAMPLES, cpuset_cpus=str(min(cpus, default=0)), cpuset_mems=str(min(nodes, default=0)))


def _on_v1(layout: Layout, limit: str) -> bool:
    one = check.hierarchy_of(layout, limit.partition("_")[0])
    return one is not None and one.version == 1


def _version(release: str) -> tuple[int, int]:
    """(0, 0) when the kernel's release can't be read as a number."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)
