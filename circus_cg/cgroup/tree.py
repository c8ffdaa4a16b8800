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
# Gone; or another user's, under a daemon that isn't root. Neither keeps the others from their signal.
UNKILLABLE = (ProcessLookupError, PermissionError)
LETHAL = (("pids.max", "0"), ("cpu.max", "max"), ("cpu.cfs_quota_us", "-1"), ("freezer.state", "THAWED"))


class Tree:
    def __init__(self, layout: Layout, name: str) -> None:
        self.layout, self.name = layout, name

    def directory(self, hierarchy: Hierarchy) -> str:
        return f"{hierarchy.directory}/{TOP}/{self.name}"

    def used(self, controllers: frozenset[str]) -> list[Hierarchy]:
        """The unified hierarchy if there is one, first; then those of `controllers` and of memory.

        Pure v1 has no cpu.stat with usage and no cgroup.freeze, so cpuacct and freezer join there.
        """
        wanted = {"memory", *controllers}
        if self.layout.unified is None:
            wanted |= {"cpuacct", "freezer"}
        found = [] if self.layout.unified is None else [self.layout.unified]
        for controller in sorted(wanted):
            hierarchy = hierarchy_of(self.layout, controller)
            if hierarchy is not None and hierarchy not in found:
                found.append(hierarchy)
        return found

    def prepare(self, controllers: frozenset[str], *, joining: bool = True) -> None:
        """Make the subtree, move this process into `@daemon`, and enable `controllers` below on v2.

        Not `joining`: this process stays where it is. Raises CgroupError; HostError where v2's no-internal-process
        rule forbids the root.
        """
        wanted = controllers | {"memory"}
        used = self.used(controllers)
        leaving = {os.getpid()} if joining else set()
        for hierarchy in used:
            if crowded := crowd(hierarchy, wanted, leaving):
                raise HostError(crowded)
        for hierarchy in used:
            path = hierarchy.directory
            for part in (TOP, self.name, DAEMON):
                path = f"{path}/{part}"
                self.make(hierarchy, path)
            if joining:
                files.write(path, "cgroup.procs", "0")
            if hierarchy.version == 2:
                self._enable_down_to_us(hierarchy, wanted)

    def extend(self, controllers: frozenset[str]) -> None:
        """As prepare(), for controllers that a running daemon needs in addition. It stays in the leaves it has: only
        where it is in none, which is on v1, its levels are made without one. Idempotent.

        Raises CgroupError, HostError.
        """
        for hierarchy in self.used(controllers):
            if crowded := crowd(hierarchy, controllers, set()):
                raise HostError(crowded)
            path = hierarchy.directory
            for part in (TOP, self.name):
                path = f"{path}/{part}"
                self.make(hierarchy, path)
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
        for _ in range(KILL_ROUNDS):
            if not _kill_round(tops):
                break
        else:
            raise HostError(
                f"cannot clear {' and '.join(tops)}: processes in it don't die (in the kernel?); end them or reboot"
            )
        for top in tops:
            files.remove_tree(top)

    def daemon_pids(self) -> list[int]:
        """Who lives in `@daemon`, of whatever daemon of this name."""
        found = {pid for h in self.layout.hierarchies for pid in files.members(f"{self.directory(h)}/{DAEMON}")}
        return sorted(found)

    def places(self) -> list[dict[str, str]]:
        """What the keeper leaves and removes at its end: it moves to the root it was given and removes our levels.

        In all hierarchies: those that nothing uses yet may be needed by what is added at run time.
        """
        return [
            {
                "procs": f"{hierarchy.directory}/cgroup.procs",
                "daemon": f"{self.directory(hierarchy)}/{DAEMON}",
                "tree": self.directory(hierarchy),
                "top": f"{hierarchy.directory}/{TOP}",
            }
            for hierarchy in self.layout.hierarchies
        ]

    def _enable_down_to_us(self, hierarchy: Hierarchy, controllers: frozenset[str]) -> None:
        for directory in (hierarchy.directory, f"{hierarchy.directory}/{TOP}", self.directory(hierarchy)):
            self.enable(hierarchy, directory, controllers)


def crowd(hierarchy: Hierarchy, controllers: frozenset[str], leaving: set[int]) -> str | None:
    """Why `controllers` can't be enabled below a v2 root: others than `leaving` live in it. None: nothing in the way.

    The mount's own root may have members; any other group with controllers for its children may not.
    """
    directory = hierarchy.directory
    wanted = controllers & set(hierarchy.controllers)
    if hierarchy.version == 1 or not wanted or not files.exists(directory, "cgroup.type"):
        return None
    if wanted <= set(files.read(directory, "cgroup.subtree_control").split()):
        return None
    others = [pid for pid in files.read(directory, "cgroup.procs").split() if int(pid) not in leaving]
    if not others:
        return None
    return (
        f"cannot enable {', '.join(sorted(wanted))} below {directory}: processes live in it"
        f" ({', '.join(others[:5])}) and v2 allows no inner members; run us in a delegated group of our own"
        " (systemd: Delegate=yes), or name another cgroup_root"
    )


def _kill_round(tops: list[str]) -> bool:
    """Kill all members below `tops` and wait for them, but not for long for one; False when there was nobody.

    All hierarchies at once: on v1 what holds up a member's death, such as the freezer, is in another one than it.
    """
    groups = [group for top in tops for group in files.walk(top)]
    pids = {pid for group in groups for pid in files.members(group)} - {os.getpid()}
    if not pids:
        return False
    for group in groups:
        _let_die(group)
    for top in tops:
        if files.exists(top, "cgroup.kill"):
            with suppress(CgroupError):
                files.write(top, "cgroup.kill", "1")
    pidfds = []
    for pid in pids:
        with suppress(*UNKILLABLE):
            pidfds.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(pidfds[-1], signal.SIGKILL)
    all(_ends(fd) for fd in pidfds)  # no longer at the first that doesn't end
    for fd in pidfds:
        os.close(fd)
    return True


def _ends(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(ROUND_MS))


def _let_die(group: str) -> None:
    """What is frozen on v1 does not die, what has a CPU quota dies slowly, what may fork grows meanwhile."""
    for file, text in LETHAL:
        if files.exists(group, file):
            with suppress(CgroupError):
                files.write(group, file, text)
