"""Limits as this host can have them: without what it can't do, with devices by number and weights by their own file."""

from __future__ import annotations

from msgspec.structs import replace

from circus_cg.cgroup.check import check, device_number, weight_file
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cgroup.limits import Setting
from circus_cg.cgroup.limits.io import V1_WEIGHTS, V2_WEIGHTS, bfq
from circus_cg.spec import Limits


def enforceable(layout: Layout, limits: Limits) -> Limits:
    """`limits` without what the host can't do, and with devices as MAJOR:MINOR."""
    missing = {finding.limit for finding in check(layout, limits) if finding.severity == "error"}
    empty = Limits()
    left = replace(limits, **{name: getattr(empty, name) for name in missing})
    devices = tuple(replace(d, device=device_number(d.device) or d.device) for d in left.io_max)
    return replace(left, io_max=devices)


def with_weight_file(hierarchy: Hierarchy, setting: Setting) -> Setting:
    """The weight as this host's IO scheduler has it."""
    if setting.file not in (V1_WEIGHTS[0], V2_WEIGHTS[0]):
        return setting
    file = weight_file(hierarchy) or setting.file
    text = str(bfq(int(setting.text))) if hierarchy.version == 2 and file != setting.file else setting.text
    return setting._replace(file=file, text=text)
