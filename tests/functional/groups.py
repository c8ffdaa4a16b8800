"""Real groups below a scratch name, without a daemon; and processes put into them by a shell."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from circus_cg.cgroup import hierarchy
from circus_cg.cgroup.check import check
from circus_cg.cgroup.group import WatcherGroup, WorkerGroup
from circus_cg.cgroup.limits import controllers
from circus_cg.cgroup.tree import TOP, Tree
from circus_cg.spec import Limits
from tests.conftest import until

JOIN = 'for group in $GROUPS_TO_JOIN; do echo $$ >"$group/cgroup.procs" || exit 99; done; exec "$@"'
# 64 processes, each in a session of its own, that go on together: spinning ones would keep their parent from forking.
BOMB = """
ready, bang = os.pipe()
for i in range(63):
    if os.fork() == 0:
        os.setsid()
        os.close(bang)
        os.read(ready, 1)
        break
else:
    os.close(bang)
"""
SPIN = "while True: pass"
HOG = "b = bytearray(512 << 20)"  # in one go: a hog that runs code meanwhile thrashes at its limit for long
NONE = Limits()


class Place:
    """An arbiter's subtree at the hierarchies' roots. The test process itself stays where it is."""

    def __init__(self, name: str, processes: ExitStack) -> None:
        self.layout = hierarchy.find("/")
        self.tree = Tree(self.layout, name)
        self._processes = processes

    def watcher(self, limits: Limits = NONE, watcher_limits: Limits = NONE, name: str = "w") -> WatcherGroup:
        wanted = controllers(limits) | controllers(watcher_limits) | {"memory"}
        for one in self.tree.used(wanted):
            above = one.directory
            for part in (TOP, self.tree.name):
                if one.version == 2:
                    self.tree.enable(one, above, wanted)
                self.tree.make(one, above := f"{above}/{part}")
            if one.version == 2:
                self.tree.enable(one, above, wanted)
        group = WatcherGroup(self.tree, name, limits, watcher_limits)
        group.ensure()
        return group

    def worker(self, limits: Limits = NONE, watcher_limits: Limits = NONE) -> WorkerGroup:
        group = self.watcher(limits, watcher_limits).worker(1, 1)
        group.create()
        return group

    def run(self, group: WorkerGroup, code: str, below: str = "") -> subprocess.Popen[bytes]:
        """The system's python3 with `code` in the group, or in one below it."""
        argv = ["/bin/sh", "-c", JOIN, "sh", "/usr/bin/python3", "-I", "-S", "-c", f"import os, time\n{code}"]
        joined = " ".join(f"{directory}{below}" for directory in group.directories)
        process = subprocess.Popen(argv, env={"GROUPS_TO_JOIN": joined}, start_new_session=True)
        self._processes.callback(_end, process)
        return process

    def sleeper(self, group: WorkerGroup, below: str = "") -> subprocess.Popen[bytes]:
        process = self.run(group, "time.sleep(1000)", below)
        until(lambda: process.pid in members(group, below), why="the sleeper in its group")
        return process

    def enforces(self, limits: Limits) -> bool:
        return not [finding for finding in check(self.layout, limits) if finding.severity == "error"]

    def without_swap(self, memory_max: int) -> Limits:
        """The limit, and no way round it by swapping where the host can forbid that."""
        limits = Limits(memory_max=memory_max, memory_swap_max=0)
        return limits if self.enforces(limits) else Limits(memory_max=memory_max)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def status(process: subprocess.Popen[bytes]) -> int:
    """How it ended: -9 is by SIGKILL."""
    until(lambda: process.poll() is not None, 20, f"the end of {process.pid}")
    return process.returncode


def members(group: WorkerGroup, below: str = "") -> set[int]:
    """In all of the group's hierarchies."""
    sets = [set(map(int, Path(f"{d}{below}/cgroup.procs").read_text().split())) for d in group.directories]
    return set.intersection(*sets)


def read(directories: list[str], *names: str) -> str:
    """The first of `names` in any of the directories: v2 and v1 spell them differently."""
    for directory in directories:
        for name in names:
            if os.path.exists(f"{directory}/{name}"):
                return Path(directory, name).read_text().strip()
    raise AssertionError(f"no {names} in {directories}")


def kill(group: WorkerGroup) -> None:
    """As the arbiter does: rounds until it is empty."""

    def round_() -> bool:
        if not group.populated():
            return True
        group.kill()
        return False

    until(round_, 20, f"{group.label} to be empty")


@contextlib.contextmanager
def at_roots(name: str) -> Iterator[Place]:
    with ExitStack() as processes:
        place = Place(name, processes)
        try:
            yield place
        finally:
            place.tree.kill_stale()


def needs(place: Place, limits: Limits) -> None:
    if not place.enforces(limits):
        pytest.skip(check(place.layout, limits)[0].text)
