"""One arbiter's subtree, `<root>/circus-cg/<name>`, in each hierarchy it uses; `@daemon` holds the daemon itself."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from circus_cg.cgroup import files
from circus_cg.cgroup.check import hierarchy_of
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cgroup.limits.cpuset import FILES as CPUSET_FILES
from circus_cg.errors import CgroupError, HostError

TOP = "circus-cg"
DAEMON = "@daemon"  # no valid watcher name
KILL_ROUNDS = 50
ROUND_MS = 200


class Tree:
    def __init__(self, layout: Layout, name: str) -> None:
        self.layout, self.name = layout, name

    def directory(self, hierarchy: Hierarchy) -> str:
        return f"{hierarchy.directory}/{TOP}/{self.name}"

    def used(self, controllers: frozenset[str]) -> list[Hierarchy]:
        """The unified hierarchy if there is one, first; then those of `controllers` and of memory.

        Pure v1 has no cpu.stat with usage, so cpuacct joins there.
        """
        wanted = {"memory", *controllers}
        if self.layout.unified is None:
            wanted.add("cpuacct")
        found = [] if self.layout.unified is None else [self.layout.unified]
        for controller in sorted(wanted):
            hierarchy = hierarchy_of(self.layout, controller)
            if hierarchy is not None and hierarchy not in found:
                found.append(hierarchy)
        return found

    def prepare(self, controllers: frozenset[str]) -> None:
        """Make the subtree, move this process into `@daemon`, and enable `controllers` below on v2.

        Raises CgroupError; HostError where v2's no-internal-process rule forbids the root.
        """
        for hierarchy in self.used(controllers):
            path = hierarchy.directory
            for part in (TOP, self.name, DAEMON):
                path = f"{path}/{part}"
                self.make(hierarchy, path)
            files.write(path, "cgroup.procs", "0")
            if hierarchy.version == 2:
                self._enable_down_to_us(hierarchy, controllers | {"memory"})

    def enable(self, hierarchy: Hierarchy, directory: str, controllers: frozenset[str]) -> None:
        """Let the children of a v2 group have `controllers`, as far as the host has them."""
        words = " ".join(f"+{c}" for c in sorted(controllers) if c in hierarchy.controllers)
        if words:
            files.write(directory, "cgroup.subtree_control", words)

    def make(self, hierarchy: Hierarchy, directory: str) -> None:
        """A group; on v1 a fresh cpuset takes its parent's CPUs and nodes, or nothing could join it."""
        files.make(directory)
        if hierarchy.version == 1 and "cpuset" in hierarchy.controllers:
            parent = directory.rpartition("/")[0]
            for file in CPUSET_FILES:
                if not files.read(directory, file).strip():
                    files.write(directory, file, files.read(parent, file).strip())

    def kill_stale(self) -> None:
        """Kill and remove what an earlier daemon of this name left. The caller holds the name's lock."""
        tops = [top for h in self.layout.hierarchies if os.path.isdir(top := self.directory(h))]
        for top in tops:
            for _ in range(KILL_ROUNDS):
                if not _kill_round(top):
                    break
            else:
                raise HostError(f"cannot clear {top}: its processes don't die (in the kernel?); end them or reboot")
            files.remove_tree(top)

    def places(self, controllers: frozenset[str]) -> list[dict[str, str]]:
        """What the keeper leaves and removes at its end: it moves to the root it was given and removes our levels."""
        return [
            {
                "procs": f"{hierarchy.directory}/cgroup.procs",
                "daemon": f"{self.directory(hierarchy)}/{DAEMON}",
                "tree": self.directory(hierarchy),
                "top": f"{hierarchy.directory}/{TOP}",
            }
            for hierarchy in self.used(controllers)
        ]

    def _enable_down_to_us(self, hierarchy: Hierarchy, controllers: frozenset[str]) -> None:
        root, top = hierarchy.directory, f"{hierarchy.directory}/{TOP}"
        for directory in (root, top, self.directory(hierarchy)):
            try:
                self.enable(hierarchy, directory, controllers)
            except CgroupError as refused:
                others = [pid for pid in files.members(directory) if pid != os.getpid()]
                if others:
                    raise HostError(
                        f"cannot enable {', '.join(sorted(controllers))} below {directory}: processes live in it"
                        f" ({others[:5]}) and v2 allows no inner members; run us in a delegated group of our own"
                        " (systemd: Delegate=yes), or name another cgroup_root"
                    ) from refused
                raise


def _kill_round(top: str) -> bool:
    """Kill all members below `top`, wait a little for them; False when there was nobody."""
    groups = files.walk(top)
    for group in groups:
        _thaw(group)
    if files.exists(top, "cgroup.kill"):
        with suppress(CgroupError):
            files.write(top, "cgroup.kill", "1")
    pids = [pid for group in groups for pid in files.members(group) if pid != os.getpid()]
    poll = select.poll()
    pidfds = []
    for pid in pids:
        with suppress(ProcessLookupError):
            pidfds.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(pidfds[-1], signal.SIGKILL)
            poll.register(pidfds[-1], select.POLLIN)
    if pidfds:
        poll.poll(ROUND_MS)
    for fd in pidfds:
        os.close(fd)
    return bool(pids)


def _thaw(group: str) -> None:
    for file, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        if files.exists(group, file):
            with suppress(CgroupError):
                files.write(group, file, text)
