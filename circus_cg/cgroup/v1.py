"""Typed access to v1 controllers: cgroupspy's on hand-built nodes, and beside it, in the same shape, what it lacks.

Never its Trees: they walk and stat every group of the host. Its blkio write-throttle files carry a trailing blank and
its integers turn -1 into None, so only the files listed here go through it; all others are written plainly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from cgroupspy.controllers import Controller
from cgroupspy.interfaces import FlagFile, IntegerFile
from cgroupspy.nodes import Node

from circus_cg.cgroup import files, parse
from circus_cg.cgroup.hierarchy import Hierarchy
from circus_cg.cgroup.limits import Setting
from circus_cg.errors import CgroupError

FROZEN = "FROZEN"


class PidsController(Controller):  # type: ignore[misc]  # cgroupspy has no types
    """pids, which cgroupspy does not know. `max` is a number or "max", so it is read as text."""

    current = IntegerFile("pids.current", readonly=True)

    @property
    def max(self) -> int | None:
        return parse.limit(self.get_property(b"pids.max"))

    @max.setter
    def max(self, value: int | None) -> None:
        self.set_property(b"pids.max", "max" if value is None else value)


class FreezerController(Controller):  # type: ignore[misc]
    """freezer, which cgroupspy does not know."""

    self_freezing = FlagFile("freezer.self_freezing", readonly=True)

    @property
    def state(self) -> str:
        return str(self.get_property(b"freezer.state"))

    @state.setter
    def state(self, value: str) -> None:
        self.set_property(b"freezer.state", value)


_BESIDE = {"pids": PidsController, "freezer": FreezerController}
# file -> attribute of the typed controller; the text of a Setting becomes the attribute's type.
_TYPED: dict[str, tuple[str, Callable[[str], object]]] = {
    "cpu.cfs_period_us": ("cfs_period_us", int),
    "cpu.cfs_quota_us": ("cfs_quota_us", int),
    "cpu.shares": ("shares", int),
    "cpuset.cpus": ("cpus", parse.cpu_list),
    "cpuset.mems": ("mems", parse.cpu_list),
    "memory.limit_in_bytes": ("limit_in_bytes", int),
    "memory.soft_limit_in_bytes": ("soft_limit_in_bytes", int),
    "memory.memsw.limit_in_bytes": ("memsw_limit_in_bytes", int),
    "pids.max": ("max", parse.limit),
}


def controller(hierarchy: Hierarchy, name: str, directory: str) -> Any:
    """The typed controller `name` of the group `directory` (absolute, below the hierarchy's mount)."""
    node = _controller_root(hierarchy.mount, name)
    for part in PurePosixPath(directory).relative_to(hierarchy.mount).parts:
        node = Node(part, parent=node)
    beside = _BESIDE.get(name)
    return node.controller if beside is None else beside(node)


def put(hierarchy: Hierarchy, directory: str, setting: Setting) -> None:
    """One limit into force, typed where a type is known. Raises CgroupError."""
    typed = _TYPED.get(setting.file)
    if typed is None:
        files.write(directory, setting.file, setting.text)
        return
    attribute, convert = typed
    try:
        setattr(controller(hierarchy, setting.controller, directory), attribute, convert(setting.text))
    except OSError as cause:
        raise CgroupError(f"write {setting.text!r} to", f"{directory}/{setting.file}", cause) from cause


@lru_cache(maxsize=32)
def _controller_root(mount: str, name: str) -> Node:
    """A chain of two made by hand; the second's name chooses the class, whatever the mount point is called."""
    root = Node(mount.rpartition("/")[0] or "/")
    node = Node(mount.rpartition("/")[2], parent=root)
    if name.encode() in Node.CONTROLLERS:
        node.controller_type = name.encode()
        node.controller = Node.CONTROLLERS[name.encode()](node)
    return node
