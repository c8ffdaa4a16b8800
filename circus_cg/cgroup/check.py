"""What of the wanted limits this host can't enforce, or only approximately: data for `run`, `check` and `doctor`."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from circus_cg.cgroup import files
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cgroup.limits import V1_SUPPORT, given, settings
from circus_cg.cgroup.limits.io import V1_WEIGHTS, V2_WEIGHTS
from circus_cg.spec import Limits

V1_NAMES = {"io": "blkio"}  # v2's name -> v1's


class Finding(NamedTuple):
    severity: Literal["warning", "error"]
    limit: str
    text: str


def hierarchy_of(layout: Layout, controller: str) -> Hierarchy | None:
    """Where a controller (as v2 names it) lives on this host."""
    return layout.of(controller) or layout.of(V1_NAMES.get(controller, controller))


def check(layout: Layout, limits: Limits) -> list[Finding]:
    found = []
    for name in given(limits):
        alone = Limits(**{name: getattr(limits, name)})
        wanted = settings(alone, 2)
        controller = wanted[0].controller if wanted else name.partition("_")[0]
        found += _of_one(layout, name, controller, limits)
    return found


def _of_one(layout: Layout, name: str, controller: str, limits: Limits) -> list[Finding]:
    hierarchy = hierarchy_of(layout, controller)
    if hierarchy is None:
        remedy = f"enable the {controller} controller (boot parameter, or the parent's cgroup.subtree_control)"
        return [
            Finding("error", name, f"cannot enforce {name}: this host has no {controller} controller here; {remedy}")
        ]
    if missing := _absent_device(limits) if name == "io_max" else None:
        return [Finding("error", name, f"cannot enforce io_max: {missing}")]
    if hierarchy.version == 2:
        return []
    support = V1_SUPPORT[name]
    if support.grade == "refused":
        return [Finding("error", name, f"cannot enforce {name} on cgroup v1: {support.why}")]
    if name == "memory_swap_max" and not files.exists(hierarchy.directory, "memory.memsw.limit_in_bytes"):
        text = "cannot enforce memory_swap_max: this kernel has no swap accounting; boot with swapaccount=1"
        return [Finding("error", name, text)]
    if name == "memory_swap_max" and limits.memory_max is None:
        text = "cannot enforce memory_swap_max on cgroup v1 without memory_max, of which it is the sum; give both"
        return [Finding("error", name, text)]
    if name == "io_weight" and weight_file(hierarchy) is None:
        text = "cannot enforce io_weight: no blkio.bfq.weight or blkio.weight here; use the bfq scheduler, or io_max"
        return [Finding("error", name, text)]
    return [Finding("warning", name, f"{name} is approximate: {support.why}")] if support.grade != "exact" else []


def weight_file(hierarchy: Hierarchy) -> str | None:
    """The weight file that this host's IO scheduler gives. A root group may have none; a child of it tells."""
    names = V2_WEIGHTS if hierarchy.version == 2 else V1_WEIGHTS
    places = [hierarchy.directory, *(entry.path for entry in os.scandir(hierarchy.directory) if entry.is_dir())]
    return next((name for place in places for name in names if files.exists(place, name)), None)


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
