"""In place of a worker's group where no group can be made: the session that the worker leads.

It limits nothing and counts nothing, and who leaves the session (setsid, a daemon) leaves it: only the end of a PID
namespace ends those too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from signal import SIGKILL

from circus_cg.cgroup.group import WatcherGroup, WorkerGroup
from circus_cg.cgroup.tree import UNKILLABLE
from circus_cg.cgroup.usage import OomVerdict, Usage
from circus_cg.errors import HostError


def life_of(watcher: WatcherGroup, wid: int, generation: int) -> WorkerGroup:
    """The group of a life, or what there is instead."""
    return watcher.worker(wid, generation) if watcher.directories else Session(watcher, f"{wid}.{generation}")


class Session(WorkerGroup):
    def __init__(self, watcher: WatcherGroup, life: str) -> None:
        super().__init__(watcher, life)
        self.leader: int | None = None  # as soon as it is known

    @property
    def label(self) -> str:
        return ""

    def create(self) -> None:
        """Nothing: the launcher makes the session."""

    def create_bare(self) -> None:
        """As create()."""

    def under(self, watcher: WatcherGroup) -> Session:
        same = Session(watcher, self._life)
        same.leader = self.leader
        return same

    def inner(self, name: str) -> Session:
        return Session(self._watcher, f"{self._life}/{name}")

    def members(self) -> list[int]:
        """Zombies left out."""
        if self.leader is None:
            return []
        return [pid for pid in _pids() if _session(pid) == self.leader]

    def populated(self) -> bool:
        return bool(self.members())

    def kill(self) -> None:
        for pid in self.members():
            with suppress(*UNKILLABLE):
                os.kill(pid, SIGKILL)

    def freeze(self) -> None:
        raise HostError("cannot freeze: this daemon can make no groups here; give it a cgroup file system to write to")

    def thaw(self) -> None:
        """Nothing was frozen."""

    def frozen(self) -> bool:
        return False

    def can_freeze(self) -> bool:
        return False

    def remove(self) -> bool:
        return True

    def usage(self, pressure: bool = True) -> Usage:
        return Usage()

    def memory_peak(self) -> int | None:
        return None

    def oom(self) -> OomVerdict:
        return OomVerdict()


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _session(pid: int) -> int | None:
    """None: it is gone, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            state, _, _, session = stat.read().rpartition(b")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else int(session)
