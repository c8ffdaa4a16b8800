"""A watcher's group and its workers' groups, each one directory in each hierarchy that is used.

A worker's group is made anew for each life, in the course of a restart: everything that can be computed once a
watcher is, and its writes are plain.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from signal import SIGKILL

from circus_cg.cgroup import files, v1
from circus_cg.cgroup.enforceable import enforceable, with_weight_file
from circus_cg.cgroup.hierarchy import Hierarchy
from circus_cg.cgroup.limits import Setting, controllers, settings
from circus_cg.cgroup.limits.change import effective
from circus_cg.cgroup.limits.cpuset import FILES as CPUSET_FILES
from circus_cg.cgroup.limits.memory import MEMSW
from circus_cg.cgroup.tree import TOP, UNKILLABLE, Tree
from circus_cg.cgroup.usage import Meter, OomVerdict, Usage
from circus_cg.errors import CgroupError, HostError
from circus_cg.spec import Limits

# What takes a quota away before a kill: throttled processes die slowly (measured: ninefold at 20 %).
UNTHROTTLED = {2: ("cpu.max", "max"), 1: ("cpu.cfs_quota_us", "-1")}


class WatcherGroup:
    def __init__(self, tree: Tree, name: str, limits: Limits, watcher_limits: Limits) -> None:
        """Limits of each worker, and of their sum. What this host can't enforce is left out: `check` told of it."""
        self.tree, self.name = tree, name
        self._limits, self._sum = enforceable(tree.layout, limits), enforceable(tree.layout, watcher_limits)
        self._controllers = frozenset(controllers(self._limits) | controllers(self._sum) | {"memory"})
        used = tree.used(self._controllers)
        # Where earlier limits led, older lives may be; whoever joins all of them can be found in any.
        former = [h for h in tree.layout.hierarchies if h not in used and os.path.isdir(f"{tree.directory(h)}/{name}")]
        self._places = [(h, f"{tree.directory(h)}/{name}") for h in [*used, *former]]
        self._creation: list[tuple[str, list[tuple[str, bytes]]]] | None = None
        self._meter = Meter(self._by_controller(""))

    def ensure(self) -> None:
        """Make the directories, enable controllers for the workers, apply the watcher's own limits.

        Idempotent, with other limits too.
        """
        for hierarchy, directory in self._places:
            self.make(hierarchy, directory)
            if hierarchy.version == 1 and self._sum.memory_max is not None and files.exists(directory, MEMSW):
                files.write(directory, MEMSW, "-1")  # else an earlier limit of the sum could forbid the new one
            for setting in self.settings_of_sum(hierarchy):
                if hierarchy.version == 1:
                    v1.put(hierarchy, directory, setting)
                else:
                    files.write(directory, setting.file, setting.text)
        self.forget_creation()

    def make(self, hierarchy: Hierarchy, directory: str) -> None:
        """One of `places`, for workers; idempotent."""
        self.tree.make(hierarchy, directory)
        if hierarchy.version == 2:
            self.tree.enable(hierarchy, directory, self._controllers)

    def forget_creation(self) -> None:
        """What a worker's group is made with is read again: the watcher's own group has changed."""
        self._creation = None

    @property
    def limits(self) -> Limits:
        """As far as this host can enforce them; of each worker."""
        return self._limits

    @property
    def sum(self) -> Limits:
        return self._sum

    @property
    def places(self) -> list[tuple[Hierarchy, str]]:
        """Where its own group is, the unified hierarchy first."""
        return self._places

    def settings_of_sum(self, hierarchy: Hierarchy) -> tuple[Setting, ...]:
        return tuple(self._settings(hierarchy, self._sum))

    @property
    def controllers(self) -> frozenset[str]:
        return self._controllers

    def usage(self, pressure: bool = True) -> Usage:
        """Of all workers together, those that are gone included where the kernel counts on."""
        return self._meter.usage(pressure)

    def pressure(self, resource: str) -> dict[str, dict[str, float]] | None:
        return self._meter.pressure(resource)

    def memory_current(self) -> int | None:
        return self._meter.memory_current()

    def memory_together(self) -> int | None:
        """As memory_current(), and no less than any worker's; None where the kernel adds nothing up."""
        return self._meter.memory_current() if self._meter.adds_up else None

    def worker(self, wid: int, generation: int) -> WorkerGroup:
        return WorkerGroup(self, f"{wid}.{generation}")

    def lives(self) -> set[tuple[int, int]]:
        """(wid, generation) of every worker group there is."""
        found = set()
        for _, directory in self._places:
            with suppress(OSError), os.scandir(directory) as entries:
                for entry in entries:
                    wid, dot, generation = entry.name.partition(".")
                    if dot and wid.isdigit() and generation.isdigit():
                        found.add((int(wid), int(generation)))
        return found

    def close(self) -> None:
        """The descriptors that it keeps; they are opened anew by whoever asks on."""
        self._meter.close()

    def remove(self) -> bool:
        self._meter.close()
        return all([files.remove_tree(directory) for _, directory in self._places])

    # -- what WorkerGroup builds on ------------------------------------------------------------------

    @property
    def creation(self) -> list[tuple[str, list[tuple[str, bytes]]]]:
        """(watcher's directory, writes into a fresh worker group) for each hierarchy, the unified one first."""
        if self._creation is None:
            self._creation = [(directory, self._writes(h, directory)) for h, directory in self._places]
        return self._creation

    @property
    def directories(self) -> list[str]:
        return [directory for _, directory in self._places]

    @property
    def label(self) -> str:
        return f"{'' if (root := self._places[0][0].root) == '/' else root}/{TOP}/{self.tree.name}/{self.name}"

    @property
    def unified(self) -> str | None:
        """None too where there are no groups at all."""
        return next((directory for hierarchy, directory in self._places[:1] if hierarchy.version == 2), None)

    @property
    def v1_directories(self) -> list[str]:
        return [directory for hierarchy, directory in self._places if hierarchy.version == 1]

    @property
    def quotas(self) -> list[tuple[str, str, str]]:
        """(watcher's directory, file, text) that lift a worker's CPU quota."""
        if self._limits.cpu_max is None:
            return []
        return [(d, *UNTHROTTLED[h.version]) for h, d in self._places if "cpu" in h.controllers]

    @property
    def oom_group_is_ours(self) -> bool:
        """An OOM kill must take a whole worker, and this kernel takes one process."""
        return self._limits.memory_oom_group and self._meter.counts_by_v1

    def meter_of(self, life: str) -> Meter:
        return Meter(self._by_controller(life))

    def oom_hits(self) -> int:
        """How often the limit of the workers' sum was hit; 0 without one, and on v1, which doesn't count them."""
        return 0 if self._sum.memory_max is None else self._meter.oom_hits(local=True)

    def hit_limit(self, hits_before: int) -> tuple[int | None, int | None] | None:
        """(limit, peak) of the workers' sum if it was hit since `hits_before`."""
        if self._sum.memory_max is None:
            return None
        _, peak, limit = self._meter.memory()
        return (limit, peak) if self.oom_hits() > hits_before or self._meter.at_v1_limit() else None

    # -- details ------------------------------------------------------------------------------------

    def _by_controller(self, life: str) -> dict[str, tuple[Hierarchy, str]]:
        found: dict[str, tuple[Hierarchy, str]] = {}
        for hierarchy, directory in self._places:
            place = (hierarchy, f"{directory}/{life}" if life else directory)
            names = [c for c in hierarchy.controllers if hierarchy.version == 1 or c in self._controllers]
            found |= dict.fromkeys(names, place)
            if hierarchy.version == 2:
                found[""] = place
        return found

    def _settings(self, hierarchy: Hierarchy, limits: Limits) -> list[Setting]:
        """Those of `limits` that belong into this hierarchy."""
        found = [s for s in settings(limits, hierarchy.version) if s.controller in hierarchy.controllers]
        return [with_weight_file(hierarchy, s) for s in found]

    def _writes(self, hierarchy: Hierarchy, directory: str) -> list[tuple[str, bytes]]:
        limits = effective(self._limits, self._sum, hierarchy.version)
        writes = [(s.file, s.text.encode()) for s in self._settings(hierarchy, limits)]
        if hierarchy.version == 1 and "cpuset" in hierarchy.controllers:  # a fresh one is empty and can't be joined
            inherited = set(CPUSET_FILES) - {file for file, _ in writes}
            writes += [(file, files.read(directory, file).strip().encode()) for file in sorted(inherited)]
        return writes


class WorkerGroup:
    """The group of one life. Nothing is done before it is asked for."""

    def __init__(self, watcher: WatcherGroup, life: str) -> None:
        self._watcher, self._life = watcher, life
        self._meter: Meter | None = None
        self._hits_before = 0  # of the watcher's limit, before this life

    @property
    def label(self) -> str:
        """The path that users know, below the hierarchy's mount."""
        return f"{self._watcher.label}/{self._life}"

    @property
    def v2(self) -> str | None:
        unified = self._watcher.unified
        return None if unified is None else f"{unified}/{self._life}"

    @property
    def v1(self) -> list[str]:
        return [f"{directory}/{self._life}" for directory in self._watcher.v1_directories]

    @property
    def directories(self) -> list[str]:
        return [f"{directory}/{self._life}" for directory in self._watcher.directories]

    def create(self) -> None:
        """Make the directories and apply the limits; idempotent. Raises CgroupError, and leaves no group half-limited
        behind for a worker to run in: the caller must not spawn then.
        """
        self._hits_before = self._watcher.oom_hits()
        self.create_in(None)

    def create_in(self, some: Collection[str] | None) -> None:
        """As create(); only these of its directories."""
        for parent, writes in self._watcher.creation:
            directory = f"{parent}/{self._life}"
            if some is not None and directory not in some:
                continue
            files.make(directory)
            for file, text in writes:
                path = f"{directory}/{file}"
                try:
                    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                    try:
                        os.write(fd, text)
                    finally:
                        os.close(fd)
                except OSError as cause:
                    raise CgroupError(f"write {text.decode()!r} to", path, cause) from cause

    def under(self, watcher: WatcherGroup) -> WorkerGroup:
        """The same life's, once its watcher has other limits. This one is not used any more."""
        self.close()
        same = WorkerGroup(watcher, self._life)
        same._hits_before = self._hits_before
        return same

    def inner(self, name: str) -> WorkerGroup:
        """A group inside this one: what is in it counts for all of this one's limits, and is killed with it."""
        return WorkerGroup(self._watcher, f"{self._life}/{name}")

    def create_bare(self) -> None:
        """As create(), without limits of its own. Raises CgroupError."""
        for directory in self.directories:
            files.make(directory)
            for file in CPUSET_FILES:  # on v1 an empty one can't be joined
                if files.exists(directory, file) and directory != self.v2:
                    files.write(directory, file, files.read(os.path.dirname(directory), file).strip())

    def members(self) -> list[int]:
        """The pids in the group and below."""
        top = self.v2 or self.v1[0]
        return [pid for group in files.walk(top) for pid in files.members(group)]

    def populated(self) -> bool:
        """Some process is in the group or below; False when it is gone."""
        unified = self.v2
        if unified is None:
            return any(files.occupied(group) for group in files.walk(self.v1[0]))
        try:
            fd = os.open(f"{unified}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return b"populated 1" in os.read(fd, 256)
            except OSError:
                return False  # it went while we looked
            finally:
                os.close(fd)
        except OSError:
            return False

    def kill(self) -> None:
        """One round of SIGKILL to everything in the group and below; the caller repeats it until it is empty."""
        for parent, file, text in self._watcher.quotas:
            with suppress(CgroupError):
                files.write(f"{parent}/{self._life}", file, text)
        unified = self.v2
        if unified is not None and files.exists(unified, "cgroup.kill"):
            with suppress(CgroupError):
                files.write(unified, "cgroup.kill", "1")
                return
        top = unified or self.v1[0]
        for directory in self.v1:
            if files.exists(directory, "pids.max"):
                with suppress(CgroupError):
                    files.write(directory, "pids.max", "0")  # a bomb must not outgrow the loop
        for group in files.walk(top):
            for pid in files.members(group):
                with suppress(*UNKILLABLE):
                    os.kill(pid, SIGKILL)
        self.thaw()  # now that the first thing it does is to die

    def freeze(self) -> None:
        """Raises HostError where the worker is in no group that can freeze."""
        directory, file, frozen, _ = self._freezer()
        files.write(directory, file, frozen)

    def thaw(self) -> None:
        with suppress(HostError, CgroupError):
            directory, file, _, thawed = self._freezer()
            files.write(directory, file, thawed)

    def frozen(self) -> bool:
        try:
            directory, file, frozen, _ = self._freezer()
            text = files.read(directory, file).strip()
        except (HostError, CgroupError):
            return False
        return text.startswith(frozen)

    def remove(self) -> bool:
        """False: not empty yet."""
        self.close()
        removed = True
        for directory in self.directories:
            removed &= files.remove(directory) or files.remove_tree(directory)
        return removed

    def close(self) -> None:
        """As WatcherGroup.close."""
        if self._meter is not None:
            self._meter.close()
            self._meter = None

    def usage(self, pressure: bool = True) -> Usage:
        return self.meter.usage(pressure)

    def memory_peak(self) -> int | None:
        """Bytes. One read: this is done at each exit."""
        return self.meter.memory_peak()

    def can_freeze(self) -> bool:
        try:
            self._freezer()
        except HostError:
            return False
        return True

    def oom_kills(self) -> int:
        return self.meter.oom_kills()

    def oom(self) -> OomVerdict:
        """Read once more when the process is gone, before the group is removed."""
        meter = self.meter
        kills = meter.oom_kills()
        if not kills:
            return OomVerdict()
        _, peak, limit = meter.memory()
        own, left = bool(meter.oom_hits()) or meter.at_v1_limit(), meter.composition()
        if not own and (hit := self._watcher.hit_limit(self._hits_before)) is not None:
            own, (limit, peak) = True, hit
        return OomVerdict(kills=kills, own_limit=own, limit=limit, peak=peak, left=left)

    @property
    def meter(self) -> Meter:
        """Its counters, over descriptors that are kept until close()."""
        if self._meter is None:
            self._meter = self._watcher.meter_of(self._life)
        return self._meter

    def _freezer(self) -> tuple[str, str, str, str]:
        if (unified := self.v2) is not None:
            return unified, "cgroup.freeze", "1", "0"
        for directory in self.v1:
            if files.exists(directory, "freezer.state"):
                return directory, "freezer.state", v1.FROZEN, "THAWED"
        raise HostError(f"cannot freeze {self.label}: it is in no freezer group here; mount cgroup2 beside v1")
