"""Where groups can be made: the mounted hierarchies, their controllers, and the root below which ours begin."""

from __future__ import annotations

import os

import msgspec

from circus_cg.cgroup import parse
from circus_cg.errors import HostError


class Hierarchy(msgspec.Struct, frozen=True):
    """One mounted hierarchy. `root` is below `mount`: "/" or "/a/b"."""

    version: int
    mount: str
    root: str
    controllers: tuple[str, ...]  # v1: those co-mounted; v2: those that can be enabled below `root`

    @property
    def directory(self) -> str:
        return self.mount if self.root == "/" else self.mount + self.root


class Layout(msgspec.Struct, frozen=True):
    """The host's hierarchies: `v2`, `v1`, or `hybrid` (v1 controllers beside a v2 hierarchy); or `none` of use."""

    mode: str
    hierarchies: tuple[Hierarchy, ...]

    @property
    def unified(self) -> Hierarchy | None:
        return next((h for h in self.hierarchies if h.version == 2), None)

    def of(self, controller: str) -> Hierarchy | None:
        return next((h for h in self.hierarchies if controller in h.controllers), None)


NONE = Layout("none", ())


def find(cgroup_root: str | None, proc: str = "/proc") -> Layout:
    """Each hierarchy with its root: `cgroup_root` below each mount, or the group this process is in.

    Raises HostError when there is none to work in.
    """
    mounts = {mount.point: mount for mount in parse.mounts(_read(f"{proc}/self/mountinfo"))}  # the topmost is seen
    memberships = parse.memberships(_read(f"{proc}/self/cgroup"))
    hierarchies: list[Hierarchy] = []
    for mount in mounts.values():
        root = _checked(cgroup_root) if cgroup_root is not None else _own(mount, memberships)
        found = None if root is None else _hierarchy(mount, root)
        if found is not None:
            hierarchies.append(found)
    hierarchies = _without_shadows(hierarchies)
    if not hierarchies:
        raise HostError(f"cannot find a cgroup hierarchy to work in: {_none(bool(mounts), cgroup_root)}")
    versions = {h.version for h in hierarchies}
    mode = "hybrid" if versions == {1, 2} else f"v{versions.pop()}"
    return Layout(mode, tuple(hierarchies))


def obstacle(layout: Layout) -> str | None:
    """Why no group can be made where ours must be, as in a container that is shown its groups but not given them."""
    first = layout.unified or next((h for h in layout.hierarchies if "memory" in h.controllers), layout.hierarchies[0])
    if os.access(first.directory, os.W_OK):
        return None
    read_only = os.statvfs(first.directory).f_flag & os.ST_RDONLY
    return f"{first.directory} is {'read-only' if read_only else 'not ours to write to'}"


def _none(mounted: bool, cgroup_root: str | None) -> str:
    """Why no hierarchy can be used, and the remedy."""
    if not mounted:
        return "none is mounted; mount cgroup2 at /sys/fs/cgroup"
    if cgroup_root is not None:
        return (
            f"no mount has a group {cgroup_root}; make it, or name a root that is there (cgroup_root, CIRCUS_CG_ROOT)"
        )
    return "our own group is not below any mount; name a root (cgroup_root, CIRCUS_CG_ROOT), such as /"


def _own(mount: parse.Mount, memberships: list[parse.Membership]) -> str | None:
    """The group this process is in, as a path below the mount point; None if the mount doesn't show it."""
    wanted = [m for m in memberships if set(m.controllers) == set(mount.controllers)]
    if not wanted:
        return None
    path, shown = wanted[0].path, mount.root
    if path.startswith("/..") or shown.startswith("/.."):  # outside our cgroup namespace's root: no telling where
        return None
    if shown == "/":
        return path
    if path != shown and not path.startswith(shown + "/"):
        return None
    return path[len(shown) :] or "/"


def _hierarchy(mount: parse.Mount, root: str) -> Hierarchy | None:
    directory = mount.point if root == "/" else mount.point + root
    if not os.path.isdir(directory):
        return None
    controllers = mount.controllers
    if mount.version == 2:
        try:
            controllers = tuple(_read(f"{directory}/cgroup.controllers").split())
        except HostError:
            return None
    return Hierarchy(mount.version, mount.point, root, controllers)


def _without_shadows(found: list[Hierarchy]) -> list[Hierarchy]:
    """A controller mounted on v1 is not on v2, whatever cgroup.controllers of another mount says; one v2 is enough."""
    v1 = {controller for h in found if h.version == 1 for controller in h.controllers}
    kept: list[Hierarchy] = []
    for h in found:
        if h.version == 1:
            kept.append(h)
        elif all(other.version == 1 for other in kept):
            kept.append(Hierarchy(2, h.mount, h.root, tuple(c for c in h.controllers if c not in v1)))
    return kept


def _checked(root: str) -> str:
    if not root.startswith("/") or ".." in root.split("/"):
        raise HostError(
            f"cannot use cgroup_root {root!r}: give a path below each hierarchy's mount, such as / or /apps"
        )
    return "/" + root.strip("/") if root.strip("/") else "/"


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError as cause:
        raise HostError(f"cannot read {path}: {cause.strerror}; cgroups can't be found without it") from cause
