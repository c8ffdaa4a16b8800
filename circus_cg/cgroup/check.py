"""What of the wanted limits this host can't enforce, or only approximately: data for `run`, `check` and `doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec.structs import replace

from circus_cg.cgroup import files, parse
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cgroup.limits import V1_SUPPORT, given, settings
from circus_cg.cgroup.limits.io import V1_WEIGHTS, V2_WEIGHTS
from circus_cg.errors import CgroupError
from circus_cg.spec import Limits

V1_NAMES = {"io": "blkio"}  # v2's name -> v1's
NOT_ON_V1_ROOT = {"pids.max", *V1_WEIGHTS}  # all other files that we write are in a v1 hierarchy's root group too
# A file that only the root group has -> the file that its children then have.
ROOT_TELLS = {"io.cost.qos": "io.weight", "blkio.bfq.io_service_bytes": "blkio.bfq.weight"}
REMEDIES = {
    "memory.swap.max": "boot with swapaccount=1",
    "memory.memsw.limit_in_bytes": "boot with swapaccount=1",
    "cpu.max": "boot a kernel with CONFIG_CFS_BANDWIDTH",
    "cpu.cfs_quota_us": "boot a kernel with CONFIG_CFS_BANDWIDTH",
}
NO_WEIGHTS = "this kernel weighs no IO here (neither iocost nor the bfq scheduler); load bfq, or use io_max"


class Finding(NamedTuple):
    severity: Literal["warning", "error"]
    limit: str
    text: str


def hierarchy_of(layout: Layout, controller: str) -> Hierarchy | None:
    """Where a controller (as v2 names it) lives on this host."""
    return layout.of(controller) or layout.of(V1_NAMES.get(controller, controller))


def is_v1(layout: Layout, controller: str) -> bool:
    hierarchy = hierarchy_of(layout, controller)
    return hierarchy is not None and hierarchy.version == 1


def check(layout: Layout, limits: Limits) -> list[Finding]:
    """At most one finding a limit. Reads the hierarchies' roots, makes nothing."""
    found = []
    for name in given(limits):
        hierarchy = hierarchy_of(layout, controller := name.partition("_")[0])
        cause = _obstacle(hierarchy, name, controller, limits)
        if cause is not None:
            found.append(Finding("error", name, f"cannot enforce {name}: {cause}"))
        elif hierarchy is not None and hierarchy.version == 1 and V1_SUPPORT[name].grade == "approximate":
            found.append(Finding("warning", name, f"{name} is approximate on cgroup v1: {V1_SUPPORT[name].why}"))
    return found


def _obstacle(hierarchy: Hierarchy | None, name: str, controller: str, limits: Limits) -> str | None:
    """Why one limit can't be enforced, and the remedy; None: it can, as far as can be seen before it is tried."""
    if hierarchy is None:
        remedy = f"enable the {controller} controller (boot parameter, or the parent's cgroup.subtree_control)"
        return f"this host has no {controller} controller here; {remedy}"
    if hierarchy.version == 1 and (refusal := _v1_refusal(name, limits)) is not None:
        return refusal
    match name:
        case "io_max":
            return _absent_device(limits)
        case "io_weight":
            return None if weight_file(hierarchy) else NO_WEIGHTS
        case "cpuset_cpus" | "cpuset_mems":
            return _outside(hierarchy, name.replace("_", "."), getattr(limits, name))
    lacking = (f for f in _files_of(name, limits, hierarchy.version) if _lacks(hierarchy, controller, f))
    return next((f"this kernel has no {f} here; {REMEDIES.get(f, 'boot a newer one')}" for f in lacking), None)


def _v1_refusal(name: str, limits: Limits) -> str | None:
    if name == "memory_swap_max" and limits.memory_max is None:
        return "cgroup v1 limits only the sum of memory and swap; give memory_max too"
    return V1_SUPPORT[name].why if V1_SUPPORT[name].grade == "refused" else None


def _files_of(name: str, limits: Limits, version: int) -> Iterator[str]:
    """The files that one limit is written into; memory_swap_max alone would be none on v1."""
    rest = Limits(memory_max=limits.memory_max) if name == "memory_swap_max" else Limits()
    others = {setting.file for setting in settings(rest, version)}
    alone = replace(rest, **{name: getattr(limits, name)})
    yield from (setting.file for setting in settings(alone, version) if setting.file not in others)


def _lacks(hierarchy: Hierarchy, controller: str, file: str) -> bool:
    """A group below the root would not have `file`. False also where no group shows it or the lack of it."""
    directory = hierarchy.directory
    children = files.children(directory)
    if any(files.exists(place, file) for place in (directory, *children)):
        return False
    if hierarchy.version == 1:
        return bool(children) or file not in NOT_ON_V1_ROOT
    if files.exists(directory, "cgroup.type"):  # not the root of v2: it has what its children will have
        return True
    return bool(children) and controller in files.read(directory, "cgroup.subtree_control").split()


def weight_file(hierarchy: Hierarchy) -> str | None:
    """The weight file that this host's IO scheduler gives; the root group has none, but may tell."""
    names = V2_WEIGHTS if hierarchy.version == 2 else V1_WEIGHTS
    places = [hierarchy.directory, *files.children(hierarchy.directory)]
    found = next((name for place in places for name in names if files.exists(place, name)), None)
    told = (then for sign, then in ROOT_TELLS.items() if then in names and files.exists(hierarchy.directory, sign))
    return found or next(told, None)


def device_number(device: str) -> str | None:
    """MAJOR:MINOR of a block device given so or by its path; None when there is none."""
    major, colon, minor = device.partition(":")
    if colon and major.isdigit() and minor.isdigit():
        return device
    try:
        number = os.stat(device).st_rdev
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}" if number else None


def _absent_device(limits: Limits) -> str | None:
    for device in limits.io_max:
        if device_number(device.device) is None:
            return f"{device.device} is no block device here; give its path or MAJOR:MINOR"
    return None


def available(hierarchy: Hierarchy, file: str) -> set[int]:
    """CPUs or memory nodes (`file`: cpuset.cpus, cpuset.mems) that the root can give; empty when it can't be told."""
    try:
        return set(
            parse.cpu_list(files.read(hierarchy.directory, f"{file}.effective" if hierarchy.version == 2 else file))
        )
    except CgroupError:
        return set()


def _outside(hierarchy: Hierarchy, file: str, wanted: str) -> str | None:
    there = available(hierarchy, file)
    missing = set(parse.cpu_list(wanted)) - there if there else set()
    if not missing:
        return None
    what = "CPUs" if file == "cpuset.cpus" else "memory nodes"
    return f"no {what} {sorted(missing)} here; there are {sorted(there)}"
