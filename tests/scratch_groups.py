"""The test's view of the cgroup file system, apart from the code it tests: which groups of an arbiter are there."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

PARENT = "circus-cg"  # <mount>/circus-cg/<arbiter>/<watcher>/<wid>.<generation>


def mounts() -> list[Path]:
    """Every cgroup hierarchy, v1 and v2."""
    with open("/proc/self/mounts") as table:
        return [Path(row[1]) for row in map(str.split, table) if row[2] in ("cgroup", "cgroup2")]


def left_of(name: str) -> list[Path]:
    """The groups of arbiter `name`, parents before their children."""
    tops = [mount / PARENT / name for mount in mounts()]
    return [Path(path) for top in tops for path, _, _ in os.walk(top)]


def members_of(name: str) -> set[int]:
    """The processes in any group of arbiter `name`."""
    found: set[int] = set()
    for group in left_of(name):
        with contextlib.suppress(OSError):  # it may go while we look
            found.update(map(int, (group / "cgroup.procs").read_text().split()))
    return found


def sweep(name: str) -> None:
    """After a failed test: kill what is left and remove the groups, so that the next test starts clean."""
    for group in left_of(name):
        for file, thawed in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                (group / file).write_text(thawed)
    for pid in members_of(name) - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for group in reversed(left_of(name)):
        with contextlib.suppress(OSError):  # a dying member: the next sweep of this name has another chance
            group.rmdir()
